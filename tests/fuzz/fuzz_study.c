/* study.json: whatever it holds, it is refused, or everything that is made of it can be written. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/file.h"
#include "results/results.h"
#include "support/test_models.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static char folder[512], out[512];
    if (!*folder) {
        snprintf(folder, sizeof folder, "%s", test_scratch());
        snprintf(out, sizeof out, "%s", test_path("out"));
        test_write(test_path("out/x"), "", 0);
    }
    test_write(test_path("study.json"), data, size);
    sv_results results = {0};
    senvec_error err = {0};
    if (sv_results_read(&results, folder, &err) == SENVEC_OK) {
        if (sv_results_write(&results, out, &err) != SENVEC_OK && !err.message[0])
            abort();
        sv_results_warn(&results, "seen");
        sv_results_release(&results);
    } else if (!err.message[0]) {
        abort();
    }
    return 0;
}
