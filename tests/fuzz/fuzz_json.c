/* JSON: whatever the bytes, both readers find the same in them or refuse them. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "json_reference.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    int valid = 0;
    const char *difference = json_difference((const char *)data, size, &valid);
    if (difference) {
        fprintf(stderr, "%s: %.*s\n", difference, (int)size, (const char *)data);
        abort();
    }
    return 0;
}
