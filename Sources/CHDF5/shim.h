// What Swift cannot import: macros of libhdf5, which writes files here and never reads any, and calls
// that only Linux has.
#pragma once
#include <fcntl.h>
#include <hdf5.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LODGE_HDF5_ZSTD_FILTER 32015

// Linux has it; glibc shows it only to those who ask for everything.
#ifndef O_TMPFILE
#define O_TMPFILE (020000000 | O_DIRECTORY)
#endif

/// The stored types, in the order of `ElementType.allCases`.
static inline hid_t lodge_hdf5_stored_type(int index) {
  switch (index) {
    case 0: return H5T_STD_U8LE;
    case 1: return H5T_STD_U16LE;
    case 2: return H5T_STD_U32LE;
    case 3: return H5T_STD_U64LE;
    case 4: return H5T_STD_I8LE;
    case 5: return H5T_STD_I16LE;
    case 6: return H5T_STD_I32LE;
    case 7: return H5T_STD_I64LE;
    case 8: return H5T_IEEE_F32LE;
    case 9: return H5T_IEEE_F64LE;
    default: return H5I_INVALID_HID;
  }
}

/// A fixed-length UTF-8 string of `byte_count` bytes, padded with NUL.
static inline hid_t lodge_hdf5_string_type(size_t byte_count) {
  hid_t type = H5Tcopy(H5T_C_S1);
  if (type < 0) return type;
  if (H5Tset_size(type, byte_count) < 0 || H5Tset_strpad(type, H5T_STR_NULLPAD) < 0 ||
      H5Tset_cset(type, H5T_CSET_UTF8) < 0) {
    H5Tclose(type);
    return H5I_INVALID_HID;
  }
  return type;
}

static inline hid_t lodge_hdf5_file_creation_list(void) {
  hid_t list = H5Pcreate(H5P_FILE_CREATE);
  if (list >= 0 && H5Pset_obj_track_times(list, 0) < 0) {
    H5Pclose(list);
    return H5I_INVALID_HID;
  }
  return list;
}

/// Version 1.10 structures only (all metadata carries checksums), no file locks.
///
/// A nameless file is opened by a link in /proc, the target of which libhdf5 would look for in vain;
/// it does not look with its stdio driver. Little of the structure is kept in memory: many files are
/// written side by side.
static inline hid_t lodge_hdf5_file_access_list(hsize_t alignment, int is_nameless) {
  hid_t list = H5Pcreate(H5P_FILE_ACCESS);
  if (list < 0) return list;
  H5AC_cache_config_t cache = {.version = H5AC__CURR_CACHE_CONFIG_VERSION};
  int failed = H5Pget_mdc_config(list, &cache) < 0;
  cache.set_initial_size = 1;
  cache.initial_size = cache.min_size = cache.max_size = 512 << 10;
  cache.incr_mode = H5C_incr__off;
  cache.flash_incr_mode = H5C_flash_incr__off;
  cache.decr_mode = H5C_decr__off;
  if (failed || H5Pset_mdc_config(list, &cache) < 0 ||
      H5Pset_libver_bounds(list, H5F_LIBVER_V110, H5F_LIBVER_V110) < 0 ||
      H5Pset_fclose_degree(list, H5F_CLOSE_STRONG) < 0 ||
      H5Pset_file_locking(list, 0, 1) < 0 || H5Pset_alignment(list, 1, alignment) < 0 ||
      (is_nameless && H5Pset_fapl_stdio(list) < 0)) {
    H5Pclose(list);
    return H5I_INVALID_HID;
  }
  return list;
}

/// Creates a group without the times that HDF5 would otherwise keep in it.
static inline hid_t lodge_hdf5_create_group(hid_t file, const char *name) {
  hid_t list = H5Pcreate(H5P_GROUP_CREATE);
  if (list < 0) return list;
  hid_t group = H5I_INVALID_HID;
  if (H5Pset_obj_track_times(list, 0) >= 0)
    group = H5Gcreate2(file, name, H5P_DEFAULT, list, H5P_DEFAULT);
  H5Pclose(list);
  return group;
}

static inline hid_t lodge_hdf5_dataset_creation_list(void) {
  hid_t list = H5Pcreate(H5P_DATASET_CREATE);
  if (list < 0) return list;
  if (H5Pset_obj_track_times(list, 0) < 0 || H5Pset_fill_time(list, H5D_FILL_TIME_NEVER) < 0) {
    H5Pclose(list);
    return H5I_INVALID_HID;
  }
  return list;
}

static inline herr_t lodge_hdf5_set_contiguous(hid_t list) {
  if (H5Pset_layout(list, H5D_CONTIGUOUS) < 0) return -1;
  return H5Pset_alloc_time(list, H5D_ALLOC_TIME_EARLY);
}

static inline herr_t lodge_hdf5_set_zstd_chunks(
    hid_t list, int rank, const hsize_t *chunk_shape, unsigned level) {
  if (H5Pset_chunk(list, rank, chunk_shape) < 0) return -1;
  if (H5Pset_alloc_time(list, H5D_ALLOC_TIME_INCR) < 0) return -1;
  return H5Pset_filter(list, LODGE_HDF5_ZSTD_FILTER, H5Z_FLAG_MANDATORY, 1, &level);
}

static inline hid_t lodge_hdf5_create_file(const char *path, hid_t creation, hid_t access) {
  return H5Fcreate(path, H5F_ACC_TRUNC, creation, access);
}

static inline hid_t lodge_hdf5_create_dataset(
    hid_t file, const char *name, hid_t type, hid_t space, hid_t creation) {
  return H5Dcreate2(file, name, type, space, H5P_DEFAULT, creation, H5P_DEFAULT);
}

static inline hid_t lodge_hdf5_open_object(hid_t place, const char *name) {
  return H5Oopen(place, name, H5P_DEFAULT);
}

static inline hid_t lodge_hdf5_create_attribute(
    hid_t object, const char *name, hid_t type, hid_t space) {
  return H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
}

static inline hid_t lodge_hdf5_open_attribute(hid_t object, const char *name) {
  return H5Aopen(object, name, H5P_DEFAULT);
}

static inline herr_t lodge_hdf5_write_chunk(
    hid_t dataset, const hsize_t *offset, size_t byte_count, const void *bytes) {
  return H5Dwrite_chunk(dataset, H5P_DEFAULT, 0, offset, byte_count, bytes);
}

/// Byte offset of a contiguous dataset in the file; 0 where nothing is allocated.
static inline uint64_t lodge_hdf5_contiguous_offset(hid_t dataset) {
  haddr_t place = H5Dget_offset(dataset);
  return place == HADDR_UNDEF ? 0 : (uint64_t)place;
}

/// Descriptor of the open file, or -1.
static inline int lodge_hdf5_descriptor(hid_t file) {
  void *handle = NULL;
  hid_t list = H5Fget_access_plist(file);
  if (list < 0) return -1;
  int is_stdio = H5Pget_driver(list) == H5FD_STDIO;
  H5Pclose(list);
  if (H5Fget_vfd_handle(file, H5P_DEFAULT, &handle) < 0 || handle == NULL) return -1;
  return is_stdio ? fileno(*(FILE **)handle) : *(int *)handle;
}

/// A file that has no name and lies in memory, or -1.
static inline int lodge_memory_file(void) {
  return (int)syscall(SYS_memfd_create, "lodge", 1u /* MFD_CLOEXEC */);
}

/// A file that has no name, on the disk of `folder`, or -1.
static inline int lodge_nameless_file(const char *folder) {
  return open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
}

/// Closes a file whose content is not wanted, even when its disk is full: libhdf5 keeps a file
/// open for ever when it cannot write it back, so it gets an anonymous one in memory instead.
static inline void lodge_hdf5_abandon_file(hid_t file) {
  int descriptor = lodge_hdf5_descriptor(file);
  int memory = lodge_memory_file();
  if (descriptor >= 0 && memory >= 0) dup2(memory, descriptor);
  H5Fclose(file);
  if (memory >= 0) close(memory);
  H5Eclear2(H5E_DEFAULT);
}

/// Has the disk begin to write a range of a file, without waiting for it.
static inline void lodge_begin_writeback(int descriptor, int64_t offset, int64_t byte_count) {
  const unsigned begin_writing = 2;  // SYNC_FILE_RANGE_WRITE, which needs _GNU_SOURCE
  syscall(SYS_sync_file_range, descriptor, offset, byte_count, begin_writing);
}

static inline herr_t lodge_hdf5_find_innermost(unsigned n, const H5E_error2_t *error, void *data) {
  (void)n;
  if (error->desc != NULL) strncpy((char *)data, error->desc, 511);
  return 1;
}

/// Copies the innermost message of the error stack into `text` (512 bytes) and clears the stack.
static inline void lodge_hdf5_take_error(char *text) {
  memset(text, 0, 512);
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, lodge_hdf5_find_innermost, text);
  H5Eclear2(H5E_DEFAULT);
}

/// Registered filter 32015: its number must be known to give it to a dataset. Chunks are compressed, and
/// read, by us: nothing may go through it.
static inline size_t lodge_hdf5_zstd_filter(
    unsigned flags, size_t count, const unsigned *parameters, size_t byte_count,
    size_t *capacity, void **buffer) {
  (void)flags, (void)count, (void)parameters, (void)byte_count, (void)capacity, (void)buffer;
  return 0;
}

/// No printing of errors by libhdf5 itself on this thread.
static inline void lodge_hdf5_silence(void) { H5Eset_auto2(H5E_DEFAULT, NULL, NULL); }

/// Prepares libhdf5 once: no work at exit, no plugins, the filter registered.
static inline herr_t lodge_hdf5_start(void) {
  static const H5Z_class2_t filter = {
      H5Z_CLASS_T_VERS, LODGE_HDF5_ZSTD_FILTER, 1, 1, "zstd", NULL, NULL, lodge_hdf5_zstd_filter};
  // No result: it fails when someone has started the library before, and that is as good.
  H5dont_atexit();
  if (H5open() < 0) return -1;
  if (H5PLset_loading_state(0) < 0) return -1;
  return H5Zregister(&filter);
}
