"""Markdown that members write, as HTML that runs nothing; where two texts differ."""
