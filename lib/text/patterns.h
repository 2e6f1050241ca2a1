/* The regular expressions that the tokenizers of known models split texts with, written as code. */
#ifndef SV_TEXT_PATTERNS_H
#define SV_TEXT_PATTERNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Finds the first match in at .. end and sets *stop behind it; returns its start, or NULL. */
typedef const uint8_t *sv_pattern(const uint8_t *at, const uint8_t *end, const uint8_t **stop);

/* The expression of GPT-2 and RoBERTa, which the pre-tokenizer ByteLevel uses. Every byte belongs to a match. */
sv_pattern sv_pattern_gpt2;

/* The function for a regular expression, or NULL. *covers: whether every byte belongs to a match. */
sv_pattern *sv_pattern_of(const char *expression, bool *covers);

#endif
