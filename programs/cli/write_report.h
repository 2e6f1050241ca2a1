/* Writes a report and tells the terminal about it; for `report` and at the end of `study`. */
#ifndef SV_CLI_WRITE_REPORT_H
#define SV_CLI_WRITE_REPORT_H

#include <stdbool.h>

#include "report/report.h"

/* Writes the report under a progress bar and says which parts couldn't be made, and why. Returns an exit code. */
int sv_cli_write_report(sv_report_options *options, bool quiet);

#endif
