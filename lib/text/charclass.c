/* Code point properties: utf8proc's data, corrected to the Unicode versions that the reference uses.
 *
 * Hugging Face `tokenizers` 0.23 takes its data from three places of three ages:
 *   categories (control, punctuation, Mn)    the crate unicode_categories 0.1.1                   Unicode 8.0
 *   decompositions and combining classes     the crate unicode-normalization-alignments 0.1.12    Unicode 9.0
 *   lower case, White_Space                  the Rust standard library                            Unicode 17.0
 * To a model, a code point that a table doesn't know is an ordinary word character: it has no category, no decomposition and no
 * combining class. utf8proc is at Unicode 15.0 (Debian 12), 15.1 (Debian 13) or newer, so what it knows too much has to be
 * taken back, and what it knows too little has to be added. That is what the four tables below do, and all that they do: for
 * utf8proc 2.8 (Unicode 15.0), 2.9 (15.1), 2.10 (16.0) and 2.11 (17.0) the results are those of the reference for every code
 * point. tests/parity compares them all, and would find what a newer version adds. */
#include "text/charclass.h"

#include <utf8proc.h>

#include "text/char_tables.h"

typedef struct range {
    uint32_t first, last;
} range;

/* Code points unassigned in Unicode 8.0, where a later version (up to 17.0) has put punctuation, controls, nonspacing marks,
 * combining classes or decompositions. Each range is as wide as 8.0's hole, so that it also covers much of what is to come. */
static const range later[] = {
    {0x0061d, 0x0061d}, {0x007fb, 0x007ff}, {0x0085f, 0x0089f}, {0x008b5, 0x008e2}, {0x009fc, 0x00a00}, {0x00a76, 0x00a80},
    {0x00afa, 0x00b00}, {0x00b4e, 0x00b55}, {0x00c04, 0x00c04}, {0x00c3a, 0x00c3c}, {0x00c70, 0x00c77}, {0x00c84, 0x00c84},
    {0x00cf3, 0x00d00}, {0x00d3b, 0x00d3c}, {0x00d80, 0x00d81}, {0x00eba, 0x00eba}, {0x00ece, 0x00ecf}, {0x01715, 0x0171f},
    {0x0180f, 0x0180f}, {0x01abf, 0x01aff}, {0x01b4c, 0x01b4f}, {0x01b7d, 0x01b7f}, {0x01df6, 0x01dfb}, {0x02e43, 0x02e7f},
    {0x0a82c, 0x0a82f}, {0x0a8c5, 0x0a8cd}, {0x0a8fe, 0x0a8ff}, {0x10570, 0x105ff}, {0x10d00, 0x10e5f}, {0x10e7f, 0x10fff},
    {0x11070, 0x1107e}, {0x110c2, 0x110cf}, {0x111ce, 0x111cf}, {0x1123e, 0x1127f}, {0x1133a, 0x1133b}, {0x11375, 0x1147f},
    {0x1165a, 0x1167f}, {0x116b8, 0x116bf}, {0x11740, 0x1189f}, {0x11900, 0x11abf}, {0x11af9, 0x11fff}, {0x12544, 0x12fff},
    {0x1342f, 0x143ff}, {0x14647, 0x167ff}, {0x16b90, 0x16eff}, {0x16f45, 0x16f4f}, {0x16fa0, 0x1afff}, {0x1bca4, 0x1cfff},
    {0x1dab0, 0x1e7ff}, {0x1e8d7, 0x1edff},
};

/* Those of them that came with Unicode 9.0 and have a combining class: the reference orders them, but strips none. */
static const range ordered[] = {
    {0x008d4, 0x008e1}, {0x01dfb, 0x01dfb}, {0x11442, 0x11446}, {0x11c3f, 0x11c3f}, {0x1e000, 0x1e02a}, {0x1e944, 0x1e94a},
};

/* Code points whose category has changed since 8.0: what it was there. */
static const struct {
    uint32_t c;
    sv_char_class was;
} changed[] = {
    {0x0166d, SV_CHAR_PUNCTUATION}, /* Po, So since 12.0 */
    {0x01734, SV_CHAR_MARK},        /* Mn, Mc since 14.0 */
    {0x01885, SV_CHAR_WORD},        /* Lo, Mn since 9.0 */
    {0x01886, SV_CHAR_WORD},        /* Lo, Mn since 9.0 */
    {0x0a9bd, SV_CHAR_WORD},        /* Mc, Mn since 11.0 */
    {0x111c9, SV_CHAR_PUNCTUATION}, /* Po, Mn since 11.0 */
    {0x1171e, SV_CHAR_MARK},        /* Mn, Mc since 16.0 */
};

/* Capital letters of Unicode 16.0 and 17.0, and their distance to the small ones. */
static const struct {
    range capitals;
    int32_t distance;
} capitals[] = {
    {{0x01c89, 0x01c89}, 0x1},  {{0x0a7cb, 0x0a7cb}, -0xa567}, {{0x0a7cc, 0x0a7cc}, 0x1}, {{0x0a7ce, 0x0a7ce}, 0x1},
    {{0x0a7d2, 0x0a7d2}, 0x1},  {{0x0a7d4, 0x0a7d4}, 0x1},     {{0x0a7da, 0x0a7da}, 0x1}, {{0x0a7dc, 0x0a7dc}, -0xa641},
    {{0x10d50, 0x10d65}, 0x20}, {{0x16ea0, 0x16eb8}, 0x1b},
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Whether one of `count` ascending ranges holds c. */
static bool in_ranges(const range *ranges, size_t count, uint32_t c) {
    size_t low = 0, high = count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (c > ranges[middle].last)
            low = middle + 1;
        else
            high = middle;
    }
    return low < count && c >= ranges[low].first;
}

static bool is_later(uint32_t c) {
    return in_ranges(later, COUNT(later), c);
}

const uint8_t sv_ascii_classes[128] = {
    [0 ... 8] = SV_CHAR_CONTROL,  ['\t'] = SV_CHAR_SPACE,
    ['\n'] = SV_CHAR_SPACE,       [0x0b ... 0x0c] = SV_CHAR_BREAK,
    ['\r'] = SV_CHAR_SPACE,       [0x0e ... 0x1f] = SV_CHAR_CONTROL,
    [' '] = SV_CHAR_SPACE,        ['!' ... '/'] = SV_CHAR_PUNCTUATION,
    ['0' ... '9'] = SV_CHAR_WORD, [':' ... '@'] = SV_CHAR_PUNCTUATION,
    ['A' ... 'Z'] = SV_CHAR_WORD, ['[' ... '`'] = SV_CHAR_PUNCTUATION,
    ['a' ... 'z'] = SV_CHAR_WORD, ['{' ... '~'] = SV_CHAR_PUNCTUATION,
    [0x7f] = SV_CHAR_CONTROL,
};

sv_char_class sv_char_classify_wide(uint32_t c) {
    switch (utf8proc_category((utf8proc_int32_t)c)) {
    case UTF8PROC_CATEGORY_CC:
        return c == 0x85 ? SV_CHAR_BREAK : SV_CHAR_CONTROL;
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
        return SV_CHAR_SPACE;
    case UTF8PROC_CATEGORY_CO:
        return SV_CHAR_CONTROL;
    case UTF8PROC_CATEGORY_CF:
        return is_later(c) ? SV_CHAR_WORD : SV_CHAR_CONTROL;
    case UTF8PROC_CATEGORY_PC:
    case UTF8PROC_CATEGORY_PD:
    case UTF8PROC_CATEGORY_PS:
    case UTF8PROC_CATEGORY_PE:
    case UTF8PROC_CATEGORY_PI:
    case UTF8PROC_CATEGORY_PF:
    case UTF8PROC_CATEGORY_PO:
        return is_later(c) ? SV_CHAR_WORD : SV_CHAR_PUNCTUATION;
    case UTF8PROC_CATEGORY_SM:
    case UTF8PROC_CATEGORY_SC:
    case UTF8PROC_CATEGORY_SK:
        return SV_CHAR_WORD;
    case UTF8PROC_CATEGORY_SO:
        if (c == 0xfffd)
            return SV_CHAR_CONTROL;
        break;
    case UTF8PROC_CATEGORY_MN:
        if (is_later(c))
            return SV_CHAR_WORD;
        break;
    case UTF8PROC_CATEGORY_MC:
        break;
    default:
        return SV_CHAR_WORD;
    }
    for (size_t i = 0; i < COUNT(changed); i++)
        if (changed[i].c == c)
            return changed[i].was;
    return utf8proc_category((utf8proc_int32_t)c) == UTF8PROC_CATEGORY_MN ? SV_CHAR_MARK : SV_CHAR_WORD;
}

bool sv_char_is_cjk(uint32_t c) {
    if (c < 0x3400)
        return false;
    /* The reference starts extension E at U+2B920, not U+2B820. */
    return (c >= 0x4e00 && c <= 0x9fff) || c <= 0x4dbf || (c >= 0xf900 && c <= 0xfaff) || (c >= 0x20000 && c <= 0x2a6df) ||
           (c >= 0x2a700 && c <= 0x2b81f) || (c >= 0x2b920 && c <= 0x2ceaf) || (c >= 0x2f800 && c <= 0x2fa1f);
}

static size_t decompose(uint32_t c, utf8proc_option_t options, uint32_t *out, size_t room) {
    utf8proc_int32_t parts[SV_MAX_COMPATIBLE];
    int boundary = 0;
    utf8proc_ssize_t length = utf8proc_decompose_char((utf8proc_int32_t)c, parts, (utf8proc_ssize_t)room, options, &boundary);
    bool whole = length > (utf8proc_ssize_t)room || length < 1 || (length == 1 && (uint32_t)parts[0] == c) || is_later(c);
    if (whole) {
        out[0] = c;
        return 1;
    }
    for (utf8proc_ssize_t i = 0; i < length; i++)
        out[i] = (uint32_t)parts[i];
    return (size_t)length;
}

size_t sv_char_decompose(uint32_t c, uint32_t out[SV_MAX_DECOMPOSITION]) {
    return decompose(c, UTF8PROC_DECOMPOSE, out, SV_MAX_DECOMPOSITION);
}

size_t sv_char_decompose_compatible(uint32_t c, uint32_t out[SV_MAX_COMPATIBLE]) {
    if (!sv_char_is_compatible(c)) {
        out[0] = c;
        return 1;
    }
    return decompose(c, UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT, out, SV_MAX_COMPATIBLE);
}

bool sv_char_is_later(uint32_t c) {
    return is_later(c) && !in_ranges(ordered, COUNT(ordered), c);
}

unsigned sv_char_combining_class(uint32_t c) {
    unsigned combining_class = (unsigned)utf8proc_get_property((utf8proc_int32_t)c)->combining_class;
    if (combining_class && is_later(c) && !in_ranges(ordered, COUNT(ordered), c))
        return 0;
    return combining_class;
}

size_t sv_char_lower(uint32_t c, uint32_t out[SV_MAX_LOWER]) {
    if (c == 0x130) {
        out[0] = 'i';
        out[1] = 0x307;
        return 2;
    }
    out[0] = (uint32_t)utf8proc_tolower((utf8proc_int32_t)c);
    if (out[0] == c && c >= capitals[0].capitals.first)
        for (size_t i = 0; i < COUNT(capitals); i++)
            if (c >= capitals[i].capitals.first && c <= capitals[i].capitals.last)
                out[0] = (uint32_t)((int32_t)c + capitals[i].distance);
    return 1;
}
