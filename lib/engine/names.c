/* Names and texts of what senvec.h lists. */
#include "senvec.h"

const char *senvec_status_name(senvec_status status) {
    switch (status) {
#define STATUS_NAME(name, value, text)                                                                                         \
    case name:                                                                                                                 \
        return #name;
        SENVEC_STATUS_MAP(STATUS_NAME)
#undef STATUS_NAME
    }
    return "unknown status";
}

const char *senvec_status_text(senvec_status status) {
    switch (status) {
#define STATUS_TEXT(name, value, text)                                                                                         \
    case name:                                                                                                                 \
        return text;
        SENVEC_STATUS_MAP(STATUS_TEXT)
#undef STATUS_TEXT
    }
    return "unknown status";
}

const char *senvec_precision_name(senvec_precision precision) {
    switch (precision) {
#define PRECISION_TEXT(name, value, text)                                                                                      \
    case name:                                                                                                                 \
        return text;
        SENVEC_PRECISION_MAP(PRECISION_TEXT)
#undef PRECISION_TEXT
    }
    return "unknown precision";
}

const char *senvec_task_name(senvec_task task) {
    switch (task) {
#define TASK_TEXT(name, value, text)                                                                                           \
    case name:                                                                                                                 \
        return text;
        SENVEC_TASK_MAP(TASK_TEXT)
#undef TASK_TEXT
    }
    return "unknown task";
}

const char *senvec_activation_name(senvec_activation activation) {
    switch (activation) {
#define ACTIVATION_TEXT(name, value, text)                                                                                     \
    case name:                                                                                                                 \
        return text;
        SENVEC_ACTIVATION_MAP(ACTIVATION_TEXT)
#undef ACTIVATION_TEXT
    }
    return "unknown activation";
}

const char *senvec_version(void) {
    return SENVEC_VERSION;
}
