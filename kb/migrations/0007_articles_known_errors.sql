-- The list of known errors, among many imported articles that are none.
CREATE INDEX article_versions_known_errors ON article_versions (lower(title), id) WHERE state = 'published' AND known_error;
