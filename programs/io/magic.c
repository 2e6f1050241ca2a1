/* One table of signatures. Sources: the specifications of the formats and file(1)'s magic. */
#include "io/magic.h"

#include <string.h>

#define TABLE_ADVICE "export the texts as CSV or JSON lines"
#define MODEL_ADVICE "give texts here, and a model with -m"
#define OTHER_ADVICE "give a file of texts"

typedef struct signature {
    const char *bytes;
    size_t length;
    sv_magic magic;
} signature;

#define SIGNATURE(bytes_, kind_, name_, advice_)                                                                               \
    {                                                                                                                          \
        bytes_, sizeof(bytes_) - 1, {                                                                                          \
            kind_, name_, advice_                                                                                              \
        }                                                                                                                      \
    }

/* What no text begins with. UTF-32 stands before UTF-16, with whose mark it begins. */
static const signature signatures[] = {
    SIGNATURE("\x1f\x8b", SV_MAGIC_GZIP, "compressed by gzip", "unpack it with gzip -d"),
    SIGNATURE("\x28\xb5\x2f\xfd", SV_MAGIC_ZSTD, "compressed by zstd", "unpack it with zstd -d"),
    SIGNATURE("\xfd"
              "7zXZ",
              SV_MAGIC_ARCHIVE, "compressed by xz", "unpack it with xz -d"),
    SIGNATURE("BZh91AY&SY", SV_MAGIC_ARCHIVE, "compressed by bzip2", "unpack it with bzip2 -d"),
    SIGNATURE("\x04\x22\x4d\x18", SV_MAGIC_ARCHIVE, "compressed by lz4", "unpack it with lz4 -d"),
    SIGNATURE("\x1f\x9d", SV_MAGIC_ARCHIVE, "compressed by compress", "unpack it with gzip -d"),
    SIGNATURE("\x5d\x00\x00", SV_MAGIC_ARCHIVE, "compressed by lzma", "unpack it with xz -d"),
    SIGNATURE("\xff\x06\x00\x00sNaPpY", SV_MAGIC_ARCHIVE, "compressed by snappy", "unpack it"),
    SIGNATURE("PK\x03\x04", SV_MAGIC_ARCHIVE, "a zip archive", "unpack it"),
    SIGNATURE("PK\x05\x06", SV_MAGIC_ARCHIVE, "an empty zip archive", OTHER_ADVICE),
    SIGNATURE("7z\xbc\xaf\x27\x1c", SV_MAGIC_ARCHIVE, "a 7z archive", "unpack it"),
    SIGNATURE("Rar!\x1a\x07", SV_MAGIC_ARCHIVE, "a rar archive", "unpack it"),
    SIGNATURE("\xff\xfe\x00\x00", SV_MAGIC_ENCODING, "UTF-32", "convert it with iconv -f UTF-32 -t UTF-8"),
    SIGNATURE("\x00\x00\xfe\xff", SV_MAGIC_ENCODING, "UTF-32", "convert it with iconv -f UTF-32 -t UTF-8"),
    SIGNATURE("\xff\xfe", SV_MAGIC_ENCODING, "UTF-16", "convert it with iconv -f UTF-16 -t UTF-8"),
    SIGNATURE("\xfe\xff", SV_MAGIC_ENCODING, "UTF-16", "convert it with iconv -f UTF-16 -t UTF-8"),
    SIGNATURE("PAR1\x15", SV_MAGIC_TABLE, "a Parquet file", TABLE_ADVICE),
    SIGNATURE("ARROW1\x00", SV_MAGIC_TABLE, "an Arrow file", TABLE_ADVICE),
    SIGNATURE("\xff\xff\xff\xff", SV_MAGIC_TABLE, "an Arrow stream", TABLE_ADVICE),
    SIGNATURE("Obj\x01", SV_MAGIC_TABLE, "an Avro file", TABLE_ADVICE),
    SIGNATURE("SQLite format 3\x00", SV_MAGIC_TABLE, "an SQLite database", TABLE_ADVICE),
    SIGNATURE("\x89HDF\r\n\x1a\n", SV_MAGIC_TABLE, "an HDF5 file", TABLE_ADVICE),
    SIGNATURE("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", SV_MAGIC_TABLE, "an old Office document", TABLE_ADVICE),
    SIGNATURE("\x93NUMPY", SV_MAGIC_OTHER, "a NumPy array", OTHER_ADVICE),
    SIGNATURE("%PDF-", SV_MAGIC_OTHER, "a PDF document", "extract its text"),
    SIGNATURE("\x89PNG\r\n\x1a\n", SV_MAGIC_OTHER, "a PNG picture", OTHER_ADVICE),
    SIGNATURE("\xff\xd8\xff", SV_MAGIC_OTHER, "a JPEG picture", OTHER_ADVICE),
    SIGNATURE("\x7f"
              "ELF",
              SV_MAGIC_OTHER, "a program", OTHER_ADVICE),
};

/* Words that a text may begin with as well: they count once a NUL byte was seen. */
static const signature words[] = {
    SIGNATURE("PAR1", SV_MAGIC_TABLE, "a Parquet file", TABLE_ADVICE),
    SIGNATURE("PARE", SV_MAGIC_TABLE, "an encrypted Parquet file", TABLE_ADVICE),
    SIGNATURE("ORC", SV_MAGIC_TABLE, "an ORC file", TABLE_ADVICE),
    SIGNATURE("FEA1", SV_MAGIC_TABLE, "a Feather file", TABLE_ADVICE),
    SIGNATURE("GGUF", SV_MAGIC_MODEL, "a GGUF model", MODEL_ADVICE),
    SIGNATURE("lmgg", SV_MAGIC_MODEL, "a GGML model", MODEL_ADVICE),
    SIGNATURE("tjgg", SV_MAGIC_MODEL, "a GGML model", MODEL_ADVICE),
};

static const sv_magic zstd_magic = {SV_MAGIC_ZSTD, "compressed by zstd", "unpack it with zstd -d"};
static const sv_magic onnx_magic = {SV_MAGIC_MODEL, "an ONNX model", MODEL_ADVICE};

/* Whether `head` begins as all of `bytes`; *undecided: it is only the beginning of them. */
static bool begins(const unsigned char *head, size_t size, const char *bytes, size_t length, bool *undecided) {
    size_t common = size < length ? size : length;
    if (memcmp(head, bytes, common) != 0)
        return false;
    *undecided = *undecided || common < length;
    return common == length;
}

/* The fourth byte of bzip2 is its level, so it is put in place of the table's. */
static bool begins_bzip2(const unsigned char *head, size_t size, bool *undecided) {
    char bytes[] = "BZh91AY&SY";
    if (size > 3 && head[3] >= '1' && head[3] <= '8')
        bytes[3] = (char)head[3];
    return begins(head, size, bytes, sizeof bytes - 1, undecided);
}

/* A frame that zstd's readers skip, which parallel compressors begin with: 0x184d2a50 to ...5f, little-endian. */
static bool begins_skippable(const unsigned char *head, size_t size, bool *undecided) {
    char bytes[] = "\x50\x2a\x4d\x18";
    if (size > 0 && (head[0] & 0xf0) == 0x50)
        bytes[0] = (char)head[0];
    return begins(head, size, bytes, sizeof bytes - 1, undecided);
}

/* An ONNX file is a protobuf without a signature. Its first field is ir_version (a small number), its second one a string, the
 * graph or the operator sets. No text begins with a backspace. */
static bool begins_onnx(const unsigned char *head, size_t size, bool *undecided) {
    if (size == 0 || head[0] != 0x08 || (size > 1 && (head[1] == 0 || head[1] > 0x20)))
        return false;
    *undecided = *undecided || size < 3;
    return size >= 3 && (head[2] & 7) == 2 && head[2] >= 0x12 && head[2] <= 0x72;
}

const sv_magic *sv_magic_find(const void *head, size_t size, bool *undecided) {
    const unsigned char *bytes = head;
    bool more = false;
    *undecided = false;
    for (size_t i = 0; i < sizeof signatures / sizeof *signatures; i++) {
        bool longer = false;
        const signature *s = &signatures[i];
        if (s->bytes[0] == 'B' ? begins_bzip2(bytes, size, &longer) : begins(bytes, size, s->bytes, s->length, &longer)) {
            *undecided = more;
            return more ? NULL : &s->magic;
        }
        more = more || longer;
    }
    if (begins_skippable(bytes, size, &more))
        return &zstd_magic;
    if (begins_onnx(bytes, size, &more))
        return &onnx_magic;
    *undecided = more;
    return NULL;
}

/* 64 bits of a header's length, then the JSON object that the header is. */
static bool is_safetensors(const unsigned char *head, size_t size) {
    return size > 8 && head[8] == '{' && head[4] == 0 && head[5] == 0 && head[6] == 0 && head[7] == 0;
}

/* Nearly every second byte is NUL: letters below U+0100 without a byte order mark. */
static bool is_utf16(const unsigned char *head, size_t size) {
    size_t even = 0, odd = 0, pairs = (size < 64 ? size : 64) / 2;
    for (size_t i = 0; i < pairs; i++) {
        even += head[2 * i] == 0;
        odd += head[2 * i + 1] == 0;
    }
    return pairs >= 2 && (even == 0 || odd == 0) && (even + odd) * 4 >= pairs * 3;
}

const sv_magic *sv_magic_binary(const void *head, size_t size) {
    static const sv_magic safetensors = {SV_MAGIC_MODEL, "a safetensors file", MODEL_ADVICE};
    static const sv_magic tar = {SV_MAGIC_ARCHIVE, "a tar archive", "unpack it"};
    static const sv_magic utf16 = {SV_MAGIC_ENCODING, "UTF-16 without a byte order mark",
                                   "convert it with iconv -f UTF-16LE (or BE) -t UTF-8"};
    static const sv_magic binary = {SV_MAGIC_OTHER, "binary data (it holds NUL bytes)", "give texts in UTF-8"};
    const unsigned char *bytes = head;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (size >= words[i].length && memcmp(bytes, words[i].bytes, words[i].length) == 0)
            return &words[i].magic;
    if (is_safetensors(bytes, size))
        return &safetensors;
    if (size >= 262 && memcmp(bytes + 257, "ustar", 5) == 0)
        return &tar;
    return is_utf16(bytes, size) ? &utf16 : &binary;
}
