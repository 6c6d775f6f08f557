/* check.h - what every test includes: Criterion, or a plain runner of the same macros where Criterion cannot run
 * (under the thread sanitizer it places its arena where the sanitizer keeps its shadow). Same sources, same names,
 * one process a test, the same closing line. */
#ifndef TEST_CHECK_H
#define TEST_CHECK_H
#endif
