/* The web server in the bench's pods: small and quick, so that what is measured is the proxy.
 *
 *   GET /             200, the name of who answers in X-Id and in the body
 *   GET /slow?ms=N    the headers at once, the body N ms later
 *
 * Environment: ID (the name), PORT (8080). A thread for each connection, with keep-alive.
 * SIGTERM: no new connection, answers under way are finished (at most 10 s), then it ends.
 */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static char name[128] = "web";
static atomic_int under_way, stopping;

static void sleep_ms(long ms)
{
    struct timespec left = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&left, &left))
        ;
}

static void set_timeout(int fd, int seconds)
{
    struct timeval limit = {seconds, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
}

/* Answer the request in `text`; returns whether the connection can be used again. */
static int answer(int fd, const char *text)
{
    char out[512];
    int last = stopping || strcasestr(text, "\r\nconnection: close");
    int slow = !strncmp(text, "GET /slow?ms=", 13);
    int size = snprintf(out, sizeof out,
                        "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Id: %s\r\n"
                        "Content-Length: %zu\r\n%s\r\n",
                        name, strlen(name) + 1, last ? "Connection: close\r\n" : "");
    if (slow) {
        if (write(fd, out, size) != size)
            return 0;
        sleep_ms(atol(text + 13));
        size = 0;
    }
    size += snprintf(out + size, sizeof out - size, "%s\n", name);
    return write(fd, out, size) == size && !last;
}

static void *serve(void *argument)
{
    int fd = (int)(long)argument, one = 1;
    char in[8192], rest[512];
    size_t filled = 0;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    set_timeout(fd, 30);
    for (int again = 1; again;) {
        char *end;
        in[filled] = 0;
        if ((end = strstr(in, "\r\n\r\n"))) {
            under_way++;
            again = answer(fd, in);
            under_way--;
            filled -= end + 4 - in;
            memmove(in, end + 4, filled);
        } else {
            ssize_t got = read(fd, in + filled, sizeof in - 1 - filled);
            again = got > 0;
            filled += again ? got : 0;
        }
    }
    shutdown(fd, SHUT_WR); /* and not close: unread bytes would make that a reset */
    set_timeout(fd, 1);
    while (read(fd, rest, sizeof rest) > 0)
        ;
    close(fd);
    return 0;
}

static void *accept_all(void *argument)
{
    int listener = (int)(long)argument, fd;
    pthread_attr_t attributes;
    pthread_t thread;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, 65536);
    while (!stopping)
        if ((fd = accept(listener, 0, 0)) >= 0 &&
            pthread_create(&thread, &attributes, serve, (void *)(long)fd))
            close(fd);
    return 0;
}

int main(void)
{
    const char *id = getenv("ID"), *port = getenv("PORT");
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port ? atoi(port) : 8080)};
    int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1, signal_number;
    pthread_t thread;
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, 0);
    signal(SIGPIPE, SIG_IGN);
    if (id)
        snprintf(name, sizeof name, "%s", id);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (void *)&address, sizeof address) || listen(listener, 1024)) {
        perror("bind");
        return 1;
    }
    pthread_create(&thread, 0, accept_all, (void *)(long)listener);
    sigwait(&signals, &signal_number);
    stopping = 1;
    shutdown(listener, SHUT_RDWR);
    for (int i = 0; i < 1000 && under_way; i++)
        sleep_ms(10);
    sleep_ms(20);
    return 0;
}
