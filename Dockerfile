# cleandns alone on an empty file system: the program, its configuration and lists, and a folder for its state.
#
#   docker build -t cleandns .
#   docker run --read-only --cap-drop ALL --cap-add NET_BIND_SERVICE --tmpfs /tmp -v cleandns:/var/lib/cleandns \
#     --network host cleandns
#
# More, and what goes wrong behind a bridge: config/CONTAINERS.md.

FROM docker.io/library/rust:1-bookworm AS build
RUN apt-get update && apt-get install -y --no-install-recommends libcap2-bin
WORKDIR /src
COPY . .
# The C library goes into the program, since the image has none. It is glibc's: musl's allocator gives memory back later
# and is slower.
RUN target=$(rustc -vV | sed -n 's/^host: //p') \
    && RUSTFLAGS="-C target-feature=+crt-static" cargo build --release --locked --target "$target" \
    && config/install.sh container "target/$target/release/cleandns" /out
# A user who isn't root is given no capability by Docker, but by the program's file: so it may have port 53
# where the container may, and nothing else.
RUN setcap cap_net_bind_service=+ep /out/usr/bin/cleandns

FROM scratch
COPY --from=build /out/usr /usr
COPY --from=build /out/etc /etc
COPY --from=build --chown=65532:65532 /out/var/lib/cleandns /var/lib/cleandns
USER 65532:65532
WORKDIR /var/lib/cleandns
ENV STATE_DIRECTORY=/var/lib/cleandns
VOLUME ["/var/lib/cleandns"]
EXPOSE 53/udp 53/tcp
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 CMD ["/usr/bin/cleandns", "health"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/cleandns"]
