#include "results/cost.h"

#include <math.h>

double sv_cost_usd(double price_per_hour, double texts_per_second, double texts) {
    if (!(price_per_hour >= 0) || !(texts_per_second > 0))
        return NAN;
    double texts_per_hour = texts_per_second * 3600;
    return price_per_hour * texts / texts_per_hour;
}
