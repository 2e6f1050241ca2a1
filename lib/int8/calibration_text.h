/* The calibration texts that are used if the user brings none. */
#ifndef SV_INT8_CALIBRATION_TEXT_H
#define SV_INT8_CALIBRATION_TEXT_H

#include <stddef.h>

extern const char *const sv_calibration_texts[]; /* UTF-8; sv_calibration_text_count of them */
extern const size_t sv_calibration_text_count;

/* The texts that the loss of int8 is measured on; no text is in both lists. */
extern const char *const sv_measuring_texts[]; /* UTF-8; sv_measuring_text_count of them */
extern const size_t sv_measuring_text_count;

#endif
