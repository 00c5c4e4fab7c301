# lb and sim in one small image, which needs neither root nor a writable file system.
#
#   docker build -t go-loadbalancer:enterprise .
#   docker run -p 8000:8000 -p 8080:8080 go-loadbalancer:enterprise               the demo
#   docker run … -v "$PWD/my:/policies:ro" go-loadbalancer:enterprise lb run      your own policy
#
# It asks nothing of BuildKit. docs/container.md has the rest.

FROM golang:1.26-bookworm AS build
# As on any machine: --build-arg GOPROXY=… where modules come from elsewhere.
ARG GOPROXY
ARG GOSUMDB
ARG GONOSUMDB
ARG GOPRIVATE
ARG GOFLAGS
LABEL go-loadbalancer.stage=build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY lb lb
COPY sim sim
ARG VERSION
ARG REVISION
# sim is lb too when it is called by that name: built apart, they take 62 MB. Libraries
# that no request waits for are not inlined, which saves 4 MB more. Paths, time and place of the
# build leave no trace in it. The tag leaves out what needs Docker. (.ci/images compiles ahead with
# the same flags.)
RUN mkdir /image && CGO_ENABLED=0 go build -tags image -trimpath -buildvcs=false -o /image/sim \
	-gcflags=github.com/redis/...=-l -gcflags=github.com/alicebob/...=-l -gcflags=github.com/yuin/...=-l \
	-gcflags=cel.dev/...=-l -gcflags=github.com/antlr4-go/...=-l -gcflags=google.golang.org/...=-l \
	-gcflags=github.com/alecthomas/...=-l \
	-ldflags "-s -w -buildid= -X go-loadbalancer/lb/telemetry.linkedVersion=$VERSION -X go-loadbalancer/lb/telemetry.linkedRevision=$REVISION" \
	./sim
COPY policies /image/policies
RUN cd /image && ln -s sim lb && mkdir -p etc/ssl/certs state && \
	cp /etc/ssl/certs/ca-certificates.crt etc/ssl/certs/ && \
	echo 'lb:x:65532:65532::/:/sbin/nologin' >etc/passwd && \
	echo 'lb:x:65532:' >etc/group && \
	chmod -R u=rwX,go=rX . && chown 65532:65532 state && \
	find . -exec touch -h -d @0 {} +

FROM scratch
ARG VERSION
ARG REVISION
LABEL org.opencontainers.image.title="go-loadbalancer" \
	org.opencontainers.image.description="An HTTP load balancer whose whole behaviour is YAML in git (lb), and its simulator (sim)" \
	org.opencontainers.image.version="$VERSION" \
	org.opencontainers.image.revision="$REVISION" \
	org.opencontainers.image.base.name="scratch"
COPY --from=build /image /
ENV PATH=/
USER 65532:65532
WORKDIR /
EXPOSE 8000 8080
HEALTHCHECK --interval=10s --timeout=4s --start-period=5s CMD ["lb", "healthcheck"]
CMD ["sim", "demo"]
