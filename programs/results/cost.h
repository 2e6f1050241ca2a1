/* The cost of texts on a machine that is paid by the hour. */
#ifndef SV_RESULTS_COST_H
#define SV_RESULTS_COST_H

/* USD for `count` texts or tokens: the hourly price over those that an hour can take. At 0.05 USD an hour and 68 texts a second
 * a million texts cost 0.204 USD. NaN unless price >= 0 and per_second > 0. */
double sv_cost_usd(double price_per_hour, double per_second, double count);

#endif
