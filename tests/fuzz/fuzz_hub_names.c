/* Names of files in a repository or package: one that is taken stays inside of the model's folder and is none of senvec's own.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "hub/hub_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *name = malloc(size + 1);
    if (!name)
        abort();
    if (size)
        memcpy(name, data, size);
    name[size] = '\0';
    if (sv_hub_file_is_wanted(name)) {
        const char *slash = strchr(name, '/');
        if (name[0] == '/' || name[0] == '.' || strstr(name, "..") || strlen(name) >= SV_HUB_FILE_NAME_SIZE ||
            (slash && (strchr(slash + 1, '/') || slash[1] == '.')) || strncasecmp(slash ? slash + 1 : name, "senvec", 6) == 0 ||
            strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-/") != strlen(name))
            abort();
    }
    free(name);
    return 0;
}
