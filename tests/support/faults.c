// Faults in the file system calls of this process, for tests on Linux; faults.py compiles and arms it.
//
// A seccomp filter turns each call that writes files (and, where reads are to be short, reads them) into a signal,
// SIGSYS. Its handler carries the call out, lets it fail, or ends the process before it or in its midst. Nothing goes
// round that: calls inside of libc, LMDB, torch or OpenCV are seen as well. Only writes to a shared map of memory are
// not.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>

enum { COUNT, KILL, KILL_HALF, FAIL, SHORT };

// The handler's own calls have this as a sixth argument, which none of the calls below takes, and pass the filter.
#define OURS 0x5ca1ab1eUL

#if defined(__x86_64__)
static const int REGISTERS[] = {REG_RDI, REG_RSI, REG_RDX, REG_R10, REG_R8};
#define ARGUMENT(context, n) ((context)->uc_mcontext.gregs[REGISTERS[n]])
#define RESULT(context) ((context)->uc_mcontext.gregs[REG_RAX])
#elif defined(__aarch64__)
#define ARGUMENT(context, n) ((context)->uc_mcontext.regs[n])
#define RESULT(context) ((context)->uc_mcontext.regs[0])
#else
#error "written for x86-64 and aarch64"
#endif

struct call {
    int number;
    char kind;           // O(pen), W(rite), S(ync), N(ame or size), D(elete), T(ime, mode, lock), R(ead), X: see decide
    int folder, path;    // which arguments are the folder's descriptor and the path; -1: none
    int folder2, path2;  // those of a second path
};

static const struct call CALLS[] = {
#ifdef __NR_open
    {__NR_open, 'O', -1, 0, -1, -1},
    {__NR_creat, 'O', -1, 0, -1, -1},
    {__NR_rename, 'N', -1, 0, -1, 1},
    {__NR_link, 'N', -1, 0, -1, 1},
    {__NR_symlink, 'N', -1, 1, -1, -1},
    {__NR_mkdir, 'N', -1, 0, -1, -1},
    {__NR_unlink, 'D', -1, 0, -1, -1},
    {__NR_rmdir, 'D', -1, 0, -1, -1},
    {__NR_chmod, 'T', -1, 0, -1, -1},
#endif
#ifdef __NR_renameat
    {__NR_renameat, 'N', 0, 1, 2, 3},
#endif
    {__NR_openat, 'O', 0, 1, -1, -1},
    {__NR_renameat2, 'N', 0, 1, 2, 3},
    {__NR_linkat, 'N', 0, 1, 2, 3},
    {__NR_symlinkat, 'N', 1, 2, -1, -1},
    {__NR_mkdirat, 'N', 0, 1, -1, -1},
    {__NR_truncate, 'N', -1, 0, -1, -1},
    {__NR_ftruncate, 'N', 0, -1, -1, -1},
    {__NR_fallocate, 'N', 0, -1, -1, -1},
    {__NR_unlinkat, 'D', 0, 1, -1, -1},
    {__NR_write, 'W', 0, -1, -1, -1},
    {__NR_pwrite64, 'W', 0, -1, -1, -1},
    {__NR_writev, 'W', 0, -1, -1, -1},
    {__NR_pwritev, 'W', 0, -1, -1, -1},
    {__NR_sendfile, 'W', 0, -1, -1, -1},
    {__NR_fsync, 'S', 0, -1, -1, -1},
    {__NR_fdatasync, 'S', 0, -1, -1, -1},
    {__NR_flock, 'T', 0, -1, -1, -1},
    {__NR_fchmod, 'T', 0, -1, -1, -1},
    {__NR_fchmodat, 'T', 0, 1, -1, -1},
    {__NR_utimensat, 'T', 0, 1, -1, -1},
    {__NR_copy_file_range, 'X', 2, -1, -1, -1},
    {__NR_pwritev2, 'X', 0, -1, -1, -1},
    {__NR_read, 'R', 0, -1, -1, -1},  // the last two are left out of the filter unless reads are to be short
    {__NR_pread64, 'R', 0, -1, -1, -1},
};
enum { NUMBER = sizeof CALLS / sizeof *CALLS, READS = 2, MOST = 65536 };

static int mode, error, lasting;
static long at, count;
static char kinds[MOST + 1], root[4096];

static int below_root(int folder, const char *path) {
    char full[8200] = "", link[64];
    ssize_t length = 0;
    if (!path || path[0] != '/') {
        snprintf(link, sizeof link, folder == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", folder);
        length = readlink(link, full, 4096);
        if (length < 0) return 0;
        full[length++] = '/';
    }
    if (path) strncpy(full + length, path, 4096);
    size_t size = strlen(root);
    return !strncmp(full, root, size) && full[size] == '/';
}

static long carry_out(int number, const long *a) {
    long result = syscall(number, a[0], a[1], a[2], a[3], a[4], OURS);
    return result == -1 ? -errno : result;
}

// Write or read half of what was asked for; of several buffers, half of the first.
static long half(int number, long *a) {
    struct iovec first;
    if (number == __NR_writev || number == __NR_pwritev) {
        first = *(struct iovec *)a[1];
        first.iov_len = (first.iov_len + 1) / 2;
        a[1] = (long)&first, a[2] = 1;
    } else {
        int length = number == __NR_sendfile ? 3 : 2;
        a[length] = (a[length] + 1) / 2;
    }
    return carry_out(number, a);
}

static int only_reads(const struct call *call, const long *a) {
    if (call->kind != 'O') return 0;
#ifdef __NR_creat
    if (call->number == __NR_creat) return 0;
#endif
    long flags = a[call->path + 1];
    return (flags & O_ACCMODE) == O_RDONLY && !(flags & O_CREAT);
}

static long decide(const struct call *call, long *a) {
    // These take six arguments; all callers go another way where the system does not know them.
    if (call->kind == 'X') return -ENOSYS;
    int first = call->folder < 0 ? AT_FDCWD : (int)a[call->folder];
    int second = call->folder2 < 0 ? AT_FDCWD : (int)a[call->folder2];
    int concerns = below_root(first, call->path < 0 ? NULL : (char *)a[call->path]) ||
                   (call->path2 >= 0 && below_root(second, (char *)a[call->path2]));
    if (!concerns || only_reads(call, a)) return carry_out(call->number, a);
    if (call->kind == 'R') {
        usleep(20);
        return a[2] < 2 ? carry_out(call->number, a) : half(call->number, a);
    }
    long own = __atomic_fetch_add(&count, 1, __ATOMIC_SEQ_CST);
    if (own < MOST) kinds[own] = call->kind;
    if (own == at || (lasting && own > at)) {
        if (mode == KILL_HALF && call->kind == 'W') half(call->number, a);
        if (mode == KILL || mode == KILL_HALF) kill(getpid(), SIGKILL);
        // A full disk lets files be deleted and locked.
        int deletes = call->kind == 'D' || call->kind == 'T';
        if (mode == FAIL && !(deletes && (error == ENOSPC || error == EDQUOT))) return -error;
        if (mode == SHORT && call->kind == 'W') return half(call->number, a);
    }
    return carry_out(call->number, a);
}

static void handle(int number, siginfo_t *info, void *opaque) {
    (void)number;
    ucontext_t *context = opaque;
    int kept = errno;
    long a[5];
    for (int n = 0; n < 5; n++) a[n] = ARGUMENT(context, n);
    for (int n = 0; n < NUMBER; n++)
        if (CALLS[n].number == info->si_syscall) RESULT(context) = decide(&CALLS[n], a);
    errno = kept;
}

// Begin; there is no way back for this process. Returns 0, or -1 with errno set.
int faults_arm(const char *root_, int mode_, long at_, int error_, int lasting_) {
    struct sock_filter filter[NUMBER + 5];
    int n = 0, calls = NUMBER - (mode_ == SHORT ? 0 : READS);
    strncpy(root, root_, sizeof root - 1);
    mode = mode_, at = at_, error = error_, lasting = lasting_;
    filter[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[5]));
    filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OURS, calls + 1, 0);
    filter[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (int i = 0; i < calls; i++)
        filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, CALLS[i].number, calls - i, 0);
    filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP);
    struct sock_fprog program = {.len = n, .filter = filter};
    struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_NODEFER | SA_RESTART};
    if (sigaction(SIGSYS, &action, NULL) || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) return -1;
    return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

// The kinds of the calls so far, one letter each.
const char *faults_kinds(void) { return kinds; }
