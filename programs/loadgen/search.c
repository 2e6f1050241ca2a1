#include "loadgen/search.h"

#include <math.h>

void sv_search_begin(sv_search *search, double first, double least, double most, double tolerance) {
    *search = (sv_search){.rate = first, .least = least, .most = most, .tolerance = tolerance};
}

bool sv_search_next(sv_search *search, bool passed) {
    if (passed)
        search->passed = search->rate;
    else
        search->failed = search->rate;
    if (search->failed == 0) {
        search->rate = fmin(search->rate * 2, search->most);
        return search->passed < search->most;
    }
    if (search->passed == 0) {
        search->rate = fmax(search->rate / 2, search->least);
        return search->failed > search->least;
    }
    search->rate = sqrt(search->passed * search->failed);
    return search->failed > search->passed * (1 + search->tolerance);
}
