/** Makes the elements of `live` work on a page that has them: the one module that templates load. */

import "./elements/live-connection.js";
import "./elements/live-run.js";
import "./elements/live-runs.js";
import "./elements/live-time.js";
