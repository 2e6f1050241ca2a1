/* Suggestions for a misspelt word. */
#ifndef SV_IO_CLOSEST_H
#define SV_IO_CLOSEST_H

/* The word of a NULL-terminated list that looks most like `word`, or NULL if none is close. */
const char *sv_closest(const char *word, const char *const *words);

/* The same for names of models: capitals don't matter, nor the organisation before '/', and a longer name may have more
 * mistakes. */
const char *sv_closest_model(const char *name, const char *const *names);

#endif
