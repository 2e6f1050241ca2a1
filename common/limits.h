/* Every maximum of the project, in one table. A value from a file, a user or the network is compared with these before use. */
#ifndef SV_COMMON_LIMITS_H
#define SV_COMMON_LIMITS_H

/* Model files. */
#define SV_MAX_JSON_BYTES (64u << 20)          /* config.json, tokenizer.json, ...: the largest public ones are about 20 MB */
#define SV_MAX_JSON_DEPTH 1024u                /* lists and objects in each other */
#define SV_MAX_SAFETENSORS_HEADER (100u << 20) /* the format's own maximum */
#define SV_MAX_TENSORS 65536u
#define SV_MAX_TENSOR_RANK 8u
#define SV_MAX_HIDDEN 8192u
#define SV_MAX_INNER 65536u
#define SV_MAX_LAYERS 256u
#define SV_MAX_HEADS 256u
#define SV_MAX_VOCABULARY (1u << 22)
#define SV_MAX_POSITIONS 65536u
#define SV_MAX_BUCKETS 4096u /* rows of a relative position bias */
#define SV_MAX_PROMPTS 1000u
#define SV_MAX_LABELS 65536u
#define SV_MAX_SHARDS 256u   /* files that a model's weights lie in */
#define SV_MAX_VECTOR 65536u /* floats of a text's vector between two modules */

/* Text. */
#define SV_MAX_TOKEN_BYTES 4096u      /* one entry of a vocabulary: some have runs of 2,048 blanks */
#define SV_MAX_WORD_CHARS 1024u       /* max_input_chars_per_word of a tokenizer; BERT has 100 */
#define SV_MAX_ADDED_TOKENS 65536u    /* in tokenizer.json and tokenizer_config.json together */
#define SV_MAX_STEPS 32u              /* normalizers, or pre-tokenizers, of a tokenizer */
#define SV_MAX_TEMPLATE 16u           /* pieces of a post-processor's template: [CLS] a [SEP] b [SEP] has 5 */
#define SV_MAX_LINE_BYTES (64u << 20) /* one line of input to `embed` */
#define SV_MAX_PART_ROWS 1000000000u  /* vectors in a file of `embed --rows` */

/* Download. */
#define SV_MAX_HUB_FILES 10000u /* in one repository or package */
#define SV_MAX_HUB_FILE_BYTES (UINT64_C(64) << 30)

/* Engine. */
#define SV_MAX_THREADS 256u
#define SV_MAX_PATH 4096u

/* Serving. */
#define SV_MAX_BATCH_TEXTS 512u              /* texts of all requests that are computed in one call */
#define SV_MAX_SERVER_BODY ((size_t)1 << 30) /* bytes of a body, whatever --max-body says */
#define SV_CONNECTION_BYTES 32768u           /* memory for the headers and buffers of one connection */

/* Study. */
#define SV_MAX_STUDY_TEXTS 100000u       /* texts kept of a corpus; a longer corpus is sampled */
#define SV_MAX_WORKER_REPLY (256u << 20) /* one reply of a worker: a sample is about 10 bytes */
#define SV_MAX_REPORT_STUDIES 16u        /* side by side in one report */

/* Load generator. */
#define SV_MAX_SERVICES 16u             /* that a study asks over HTTP */
#define SV_MAX_LOAD_REQUESTS 50000000u  /* requests of one run, 32 bytes each */
#define SV_MAX_LOAD_RATE 1000000u       /* requests a second */
#define SV_MAX_LOAD_CONNECTIONS 20000u  /* at a time */
#define SV_MAX_LOAD_TEXTS 4096u         /* of one request */
#define SV_MAX_LOAD_WORDS 10000u        /* words of one composed text */
#define SV_MAX_LOAD_HEAD (64u << 10)    /* status line and headers of an answer */
#define SV_MAX_LOAD_ANSWER (256u << 20) /* an answer: 4,096 texts of 1,024 numbers in JSON are about 80 MB */

#endif
