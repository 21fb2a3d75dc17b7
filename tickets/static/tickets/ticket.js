// The ticket's page: what was sent from the capture screen has arrived, so its draft can go.

import { forgetSent } from "./kept.js";

forgetSent();
