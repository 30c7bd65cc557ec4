#pragma once
#include <cblas.h>

/// LAPACK's solver for symmetric positive definite systems, which OpenBLAS includes; Debian has no C header
/// for it beside OpenBLAS's own.
void dposv_(const char *uplo, const int *n, const int *nrhs, double *a, const int *lda, double *b,
            const int *ldb, int *info);
