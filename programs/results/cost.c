#include "results/cost.h"

#include <math.h>

double sv_cost_usd(double price_per_hour, double per_second, double count) {
    if (!(price_per_hour >= 0) || !(per_second > 0))
        return NAN;
    double per_hour = per_second * 3600;
    return price_per_hour * count / per_hour;
}
