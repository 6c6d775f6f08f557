/* store.h - the operations of kv_ops.h without a log around them: asked one by one, their answers as text. */
#ifndef TEST_STORE_H
#define TEST_STORE_H

#include "serve/kv_ops.h"

#define STORE_NOW_US  INT64_C(1800000000000000) /* the cluster's time, to begin with; the wall clock is an hour ahead */
#define STORE_LEAD_US INT64_C(3600000000)

/* What the next operation is told, but for its arguments. `index` goes up with each that changes something. */
extern struct kv_call store;

void store_open(void); /* before and after each test */
void store_close(void);

/* The answer to words with single spaces between them, the first the command's name in lower case; '' is an empty word.
 * Line ends in it are told as spaces, but for the last: "*2 $1 a $-1". Until the next call. */
const char *store_ask(const char *words);

/* The same with any bytes. */
const char *store_ask_op(enum kv_op op, const struct text *arguments, size_t count);

/* The answer as it is, in store.out. What is due is removed before. */
void store_run(enum kv_op op, const struct text *arguments, size_t count);

/* The operation of that name; 0: there is none. */
enum kv_op store_op(struct text name);

struct text store_text(const char *chars);

#define assert_answer(Words, Answer) cr_assert_str_eq(store_ask(Words), Answer, "%s", Words)

#endif
