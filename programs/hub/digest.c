/* SHA-256, as large files are published, and the id of a git blob, as small ones are: SHA-1 of "blob SIZE\0" and the bytes.
 * Both in one pass, by libcrypto. */
#include "hub/digest.h"

#include <openssl/evp.h>
#include <stdio.h>

#include "common/file.h"

static void write_hex(const unsigned char *bytes, size_t count, char *out) {
    for (size_t i = 0; i < count; i++)
        snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

senvec_status sv_digest_file(const char *path, sv_digest *out, senvec_error *err) {
    sv_file_map map;
    SENVEC_TRY(sv_file_map_open(path, &map, err));
    EVP_MD_CTX *sha256 = EVP_MD_CTX_new(), *sha1 = EVP_MD_CTX_new();
    char header[32];
    int header_length = snprintf(header, sizeof header, "blob %zu", map.size) + 1;
    unsigned char sum256[EVP_MAX_MD_SIZE], sum1[EVP_MAX_MD_SIZE];
    bool done = sha256 && sha1 && EVP_DigestInit_ex(sha256, EVP_sha256(), NULL) && EVP_DigestInit_ex(sha1, EVP_sha1(), NULL) &&
                EVP_DigestUpdate(sha1, header, (size_t)header_length);
    /* In pieces, so that the second reads what the first has brought into the cache. */
    for (size_t at = 0, piece = 64 << 10; done && at < map.size; at += piece) {
        size_t count = map.size - at < piece ? map.size - at : piece;
        done = EVP_DigestUpdate(sha256, map.data + at, count) && EVP_DigestUpdate(sha1, map.data + at, count);
    }
    done = done && EVP_DigestFinal_ex(sha256, sum256, NULL) && EVP_DigestFinal_ex(sha1, sum1, NULL);
    EVP_MD_CTX_free(sha256);
    EVP_MD_CTX_free(sha1);
    uint64_t size = map.size;
    sv_file_map_close(&map);
    if (!done)
        return sv_fail(err, SENVEC_OUT_OF_MEMORY, 0, "%s: libcrypto could not compute its digest", path);
    out->size = size;
    write_hex(sum256, 32, out->sha256);
    write_hex(sum1, 20, out->git_id);
    return SENVEC_OK;
}
