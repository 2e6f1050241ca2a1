/* A hub's listing of a repository: whatever it holds, it is refused with a message, or each file that is fetched by it lies
 * inside of the staging folder, has the size and the digest that were promised, and stands in the stamp.
 *
 * The first byte says what is known of the model: '0' nothing, '1' the digest of one file, '2' those of all files. The rest is
 * the listing. HTTP takes no part: a file that is asked for has the bytes "abc...zabc..." (none at all where its name ends with
 * "empty.json", one too few where it ends with "short.json"), whatever size the listing gives it up to 1 MiB. Nothing is
 * flushed to the disk (linked with --wrap). */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/file.h"
#include "hub/hub_internal.h"
#include "support/test_models.h"
#include "system/temporary.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST_BYTES = 1 << 20 };

static char staging[SV_MAX_PATH];
static const char *listing;
static size_t listing_size;

static void require(int kept) {
    if (!kept)
        abort();
}

/* ------------------------------------------------------------------ in the place of hub_http.c */

int __wrap_fsync(int descriptor);

int __wrap_fsync(int descriptor) {
    (void)descriptor;
    return 0;
}

struct sv_http {
    char unused;
};

senvec_status sv_http_open(const char *endpoint, const char *token, sv_http **out, senvec_error *err) {
    (void)endpoint, (void)token, (void)err;
    *out = NULL;
    return SENVEC_OK;
}

void sv_http_close(sv_http *http) {
    (void)http;
}

senvec_status sv_http_get(sv_http *http, const char *url, char **body, size_t *length, senvec_error *err) {
    (void)http, (void)url, (void)err;
    *body = malloc(listing_size + 1);
    require(*body != NULL);
    memcpy(*body, listing, listing_size);
    (*body)[listing_size] = '\0';
    *length = listing_size;
    return SENVEC_OK;
}

static bool ends_with(const char *text, const char *end) {
    size_t length = strlen(text), size = strlen(end);
    return length >= size && strcmp(text + length - size, end) == 0;
}

senvec_status sv_http_download(sv_http *http, const char *url, const char *path, uint64_t size, const char *label,
                               const sv_hub_options *options, senvec_error *err) {
    (void)http, (void)options;
    size_t length = strlen(staging);
    require(strncmp(path, staging, length) == 0 && path[length] == '/' && !strstr(path, "/../") && !strstr(path, "//"));
    require(strncmp(url, "https://huggingface.co/org/name/resolve/", 40) == 0 && ends_with(url, label));
    if (size > MOST_BYTES)
        return sv_fail(err, SENVEC_NETWORK, 0, "%s: too much", label);
    size_t count = ends_with(label, "empty.json") ? 0 : (size_t)size - (size > 0 && ends_with(label, "short.json"));
    char *bytes = malloc(count + 1);
    require(bytes != NULL);
    for (size_t i = 0; i < count; i++)
        bytes[i] = (char)('a' + i % 26);
    test_write(path, bytes, count);
    free(bytes);
    return SENVEC_OK;
}

/* ------------------------------------------------------------------ the target */

/* Each file of the stamp is in the folder with the size and digest that stand there. */
static void check_stamp(json_t *stamp, const sv_hub_known *known) {
    const char *name;
    json_t *entry;
    json_object_foreach(json_object_get(stamp, "files"), name, entry) {
        char path[SV_MAX_PATH];
        sv_digest digest;
        require(sv_hub_takes(known, name));
        require(sv_path_join(staging, name, path, NULL) == SENVEC_OK && sv_digest_file(path, &digest, NULL) == SENVEC_OK);
        require(digest.size == (uint64_t)json_integer_value(json_object_get(entry, "size")));
        require(strcmp(digest.sha256, json_string_value(json_object_get(entry, "sha256"))) == 0);
        require(!sv_hub_pin(known, name) || strcmp(digest.sha256, sv_hub_pin(known, name)) == 0);
    }
    require(sv_stamp_write(staging, stamp, NULL) == SENVEC_OK && sv_stamp_holds(staging));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const sv_hub_name name = {"org", "name"};
    /* "abc" */
    static const char *const digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    const sv_hub_known one = {.pins = {{"config.json", digest}}, .partial = true};
    const sv_hub_known all = {.pins = {{"config.json", digest}, {"model.safetensors", digest}}};
    const sv_hub_known *known = size == 0 || data[0] == '0' ? NULL : data[0] == '1' ? &one : &all;
    if (!*staging) {
        unsetenv("HF_ENDPOINT");
        unsetenv("HF_TOKEN");
        snprintf(staging, sizeof staging, "%s", test_path("staging"));
    }
    require(sv_remove_tree(staging, NULL) == SENVEC_OK && sv_make_directories(staging, NULL) == SENVEC_OK);
    listing = size ? (const char *)data + 1 : "";
    listing_size = size ? size - 1 : 0;
    json_t *stamp = NULL;
    senvec_error err = {0};
    if (sv_remote_fetch(&name, known, staging, &(sv_hub_options){0}, &stamp, &err) == SENVEC_OK)
        check_stamp(stamp, known);
    else
        require(err.message[0] != '\0' && !strchr(err.message, '\n'));
    json_decref(stamp);
    return 0;
}
