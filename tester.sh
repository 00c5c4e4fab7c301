#!/bin/bash
# Smoke test of a deployed load balancer. It needs bash 4.4, curl and jq, says how it
# goes in TAP (https://testanything.org/tap-version-13-specification.html), and leaves
# the deployment as it found it. tester.sh --help has the rest.
#
# Checks are called by name (SC2317), jq's variables are jq's (SC2016), and where
# A && B || C is written, C is meant for either failing (SC2015).
# shellcheck disable=SC2317,SC2016,SC2015
set -uo pipefail

usage() {
	cat <<'END'
usage: tester.sh [OPTION]...

Asks a running load balancer whether it does what it should: health, metrics, page,
traffic, shares, sessions, breaker, reload. What it has no means to ask is skipped,
with the reason.

  --url URL            traffic, once for each replica          (TESTER_URL, http://127.0.0.1:8000)
  --admin-url URL      admin address, in the same order        (TESTER_ADMIN_URL, http://127.0.0.1:8080)
  --backend-url URL    a fake backend (sim backend) by itself, (TESTER_BACKEND_URL)
                       to see a breaker open and close
  --policies DIR       directory the replicas read their       (TESTER_POLICIES)
                       policy from, to see an invalid one
                       refused; a file is put there and removed
  --path PATH          a path whose pool spreads by weight     (TESTER_PATH, /)
  --session-path PATH  a path whose clients stay               (TESTER_SESSION_PATH, /cart)
  --host HOST          Host field of the traffic               (TESTER_HOST, that of the URL)
  --token-file FILE    admin token                             (TESTER_TOKEN_FILE)
  --requests N         requests in which shares are counted    (TESTER_REQUESTS, 120)
  --timeout S          longest wait for something to happen    (TESTER_TIMEOUT, 60)
  --request-timeout S  longest wait for one answer             (TESTER_REQUEST_TIMEOUT, 5)
  --junit FILE         the result as JUnit XML too             (TESTER_JUNIT)
  --help

Several URLs: the option several times, or in the variable with spaces between them.
Exit status: 0 nothing failed, 1 something did, 2 wrong usage.
END
}

wrong() {
	echo "tester.sh: $*" >&2
	echo "tester.sh --help says what there is." >&2
	exit 2
}

# ---- Options.

urls=() admins=() backends=()
policies=${TESTER_POLICIES:-} path=${TESTER_PATH:-/} session_path=${TESTER_SESSION_PATH:-/cart} host=${TESTER_HOST:-}
token_file=${TESTER_TOKEN_FILE:-} requests=${TESTER_REQUESTS:-120} timeout=${TESTER_TIMEOUT:-60}
request_timeout=${TESTER_REQUEST_TIMEOUT:-5} junit=${TESTER_JUNIT:-}

while [ $# -gt 0 ]; do
	case "$1" in
	--help | -h) usage; exit 0 ;;
	--*=*) set -- "${1%%=*}" "${1#*=}" "${@:2}"; continue ;;
	--url | --admin-url | --backend-url | --policies | --path | --session-path | --host | --token-file | --requests | --timeout | --request-timeout | --junit)
		[ $# -ge 2 ] || wrong "$1: a value is missing" ;;
	*) wrong "$1: no such option" ;;
	esac
	case "$1" in
	--url) urls+=("${2%/}") ;;
	--admin-url) admins+=("${2%/}") ;;
	--backend-url) backends+=("${2%/}") ;;
	--policies) policies=$2 ;;
	--path) path=$2 ;;
	--session-path) session_path=$2 ;;
	--host) host=$2 ;;
	--token-file) token_file=$2 ;;
	--requests) requests=$2 ;;
	--timeout) timeout=$2 ;;
	--request-timeout) request_timeout=$2 ;;
	--junit) junit=$2 ;;
	esac
	shift 2
done
[ ${#urls[@]} -gt 0 ] || read -ra urls <<<"${TESTER_URL:-http://127.0.0.1:8000}"
[ ${#admins[@]} -gt 0 ] || read -ra admins <<<"${TESTER_ADMIN_URL:-http://127.0.0.1:8080}"
[ ${#backends[@]} -gt 0 ] || read -ra backends <<<"${TESTER_BACKEND_URL:-}"

for tool in curl jq; do
	command -v "$tool" >/dev/null || wrong "$tool is needed, and not there"
done
[ ${#urls[@]} -eq ${#admins[@]} ] || wrong "${#urls[@]} --url and ${#admins[@]} --admin-url: one of each is wanted for a replica"
for url in "${urls[@]}" "${admins[@]}" "${backends[@]}"; do
	case "$url" in http://?* | https://?*) ;; *) wrong "$url: http://HOST:PORT is wanted" ;; esac
done
for number in requests timeout request_timeout; do
	[[ ${!number} =~ ^[1-9][0-9]{0,4}$ ]] || wrong "--${number/_/-} ${!number}: a whole number from 1 to 99999 is wanted"
done
for place in "$path" "$session_path"; do
	[[ $place == /* ]] || wrong "$place: a path begins with /"
done
[ -z "$token_file" ] || [ -r "$token_file" ] || wrong "--token-file $token_file: it cannot be read"
[ -z "$policies" ] || [ -d "$policies" ] || wrong "--policies $policies: no such directory"
# What cannot be written is better known before the test than after it.
[ -z "$junit" ] || : >"$junit" || wrong "--junit $junit: it cannot be written"

# ---- What is cleaned up, however it ends.

work=$(mktemp -d)
probe='' faulty=''
cleanup() {
	[ -z "$probe" ] || rm -f "$probe" "$policies/.zz-tester"
	mend
	rm -rf "$work"
}
# mend has the backend be well again, and leaves the last answer as it is. What it cannot
# take back is tried again at the end.
mend() {
	[ -n "$faulty" ] || return 0
	curl -sf -o /dev/null --noproxy '*' --max-time "$request_timeout" -X DELETE "$faulty/_fault" || return
	faulty=''
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# ---- Asking. The last request and its answer are kept in files, for whoever asks what
# failed, of a subshell too.

status=''

# ask METHOD URL [CURL-OPTION]... leaves the answer in $work/status, headers and body, and
# its status in $status too.
ask() {
	echo "$1 $2" >"$work/request"
	: >"$work/headers"
	: >"$work/body"
	status=$(curl -gsS --noproxy '*' --max-time "$request_timeout" --max-filesize 10000000 -X "$1" -D "$work/headers" -o "$work/body" \
		-w '%{http_code}' "${@:3}" "$2" 2>"$work/curl") || status="no answer: $(tail -n 1 "$work/curl")"
	echo "$status" >"$work/status"
	[ "$status" = 200 ]
}

# admin METHOD PATH [CURL-OPTION]... asks the admin address of the replica $replica.
admin() {
	echo "${admins[replica]}" >"$work/asked"
	local authorization=()
	if [ "$1" != GET ] && [ -n "$token_file" ]; then
		# By a file: an argument would show in the list of processes.
		(umask 077 && printf 'header = "Authorization: Bearer %s"\n' "$(<"$token_file")" >"$work/token")
		authorization=(-K "$work/token")
	fi
	ask "$1" "${admins[replica]}$2" "${authorization[@]}" "${@:3}"
}

# traffic PATH [CURL-OPTION]... asks the replica $replica as a client does.
traffic() {
	echo "${admins[replica]}" >"$work/asked"
	ask GET "${urls[replica]}$1" ${host:+-H "Host: $host"} "${@:2}"
}

# many N PATH [CURL-OPTION]... asks so often, on one connection, and leaves in
# $work/many a line for each: the status, or 000, and the backend that answered.
many() {
	local i
	echo "${admins[replica]}" >"$work/asked"
	echo "$1 times GET ${urls[replica]}$2" >"$work/request"
	: >"$work/headers"
	: >"$work/body"
	for ((i = 0; i < $1; i++)); do
		printf 'url = "%s"\noutput = "/dev/null"\n' "${urls[replica]}$2"
	done >"$work/config"
	curl -gsS --noproxy '*' --max-time "$request_timeout" -D - -w '\n=%{http_code}\n' ${host:+-H "Host: $host"} "${@:3}" -K "$work/config" \
		2>"$work/curl" | tr -d '\r' |
		awk 'tolower($1) == "x-backend:" { who = $2 } /^=[0-9]/ { print substr($0, 2), who; who = "" }' >"$work/many"
	sort "$work/many" | uniq -c | awk '{ print (NR > 1 ? ", " : "") $1 " times " $2 " " $3 }' ORS='' >"$work/status"
	[ "$(wc -l <"$work/many")" -eq "$1" ] || {
		fail "$(wc -l <"$work/many") of $1 requests had an end: $(tail -n 1 "$work/curl")"
		return 1
	}
}

# header NAME prints a field of the last answer.
header() { tr -d '\r' <"$work/headers" | awk -v name="${1,,}:" 'tolower($1) == name { $1 = ""; print substr($0, 2) }'; }

# status_of FILTER prints what jq makes of the replica's status document.
status_of() { admin GET /api/v1/status && jq -r "$1" "$work/body" 2>/dev/null; }

# metric NAME prints the sum of a metric's series.
metric() {
	admin GET /metrics && awk -v name="$1" '{ series = $1; sub(/\{.*/, "", series) } series == name { sum += $NF; seen = 1 } END { if (seen) printf "%d\n", sum; exit !seen }' "$work/body"
}

# eventually COMMAND... repeats it until it succeeds, for --timeout at most.
eventually() {
	local end=$((SECONDS + timeout))
	until "$@"; do
		[ "$SECONDS" -lt "$end" ] || return 1
		sleep 0.1
	done
}

# ---- Saying.

count=0 failed=0 skipped=0 outcome='' reason='' cases=''

fail() { outcome=fail reason=$*; }
skip() { outcome=skip reason=$*; }

# wants STATUS says what is wrong with the last answer, if anything.
wants() {
	[ "$(<"$work/status")" = "$1" ] && return
	fail "the answer is $(<"$work/status"), not $1"
	return 1
}

# unanswered says what is wrong with an answer that was of no use.
unanswered() { wants 200 && fail "the answer does not say what it should"; }

# evidence prints what there is to say about the last request.
evidence() {
	local asked hash
	echo "$reason"
	echo "request: $(<"$work/request")"
	echo "answer: $(<"$work/status")"
	[ ! -s "$work/headers" ] || tr -d '\r' <"$work/headers" | grep . | sed 's/^/header: /'
	[ ! -s "$work/body" ] || { head -c 2000 "$work/body"; echo; } | sed 's/^/body: /'
	asked=$(<"$work/asked")
	if [ -n "$asked" ]; then
		hash=$(curl -gs --noproxy '*' --max-time "$request_timeout" "$asked/api/v1/status" | jq -r .policy.hash 2>/dev/null)
		echo "policy hash: ${hash:-unknown} (of $asked)"
	fi
}

xml() { LC_ALL=C tr -d '\000-\010\013\014\016-\037' | sed 's/&/\&amp;/g; s/</\&lt;/g; s/>/\&gt;/g; s/"/\&quot;/g'; }

now() { echo "${EPOCHREALTIME:-$SECONDS.0}" | tr , .; }

# check DESCRIPTION COMMAND runs one, and says how it went.
check() {
	local began took result file
	began=$(now)
	outcome='' reason='' status='' replica=0
	for file in request asked status headers body; do
		: >"$work/$file"
	done
	"$2"
	took=$(awk -v a="$began" -v b="$(now)" 'BEGIN { printf "%.3f", b - a }')
	count=$((count + 1))
	case "$outcome" in
	'')
		echo "ok $count - $1"
		result=''
		;;
	skip)
		skipped=$((skipped + 1))
		echo "ok $count - $1 # SKIP $reason"
		result="<skipped message=\"$(xml <<<"$reason")\"/>"
		;;
	fail)
		failed=$((failed + 1))
		echo "not ok $count - $1"
		evidence >"$work/evidence"
		sed 's/^/# /' "$work/evidence"
		result="<failure message=\"$(xml <<<"$reason")\">$(xml <"$work/evidence")</failure>"
		;;
	esac
	cases+="  <testcase classname=\"tester\" name=\"$(xml <<<"$1")\" time=\"$took\">$result</testcase>"$'\n'
}

# each COMMAND asks it of every replica, until one fails or is skipped.
each() {
	for replica in "${!urls[@]}"; do
		"$1"
		[ -z "$outcome" ] || return
	done
}

# ---- The checks. The first is the one that waits for a deployment that has just begun.

ready() {
	alive() { admin GET /readyz; }
	eventually alive || fail "not ready within $timeout s: $status"
}

live() { admin GET /healthz || unanswered; }

metrics_text() {
	admin GET /metrics -H 'Accept: text/plain' || { unanswered; return; }
	[[ $(header Content-Type) == text/plain* ]] || { fail "Content-Type is $(header Content-Type), not text/plain"; return; }
	local odd name
	odd=$(grep -vE '^(#|$)' "$work/body" | grep -vEm 1 '^[a-zA-Z_:][a-zA-Z0-9_:]*(\{.*\})? (-?[0-9.]+(e[-+]?[0-9]+)?|NaN|[-+]Inf)$')
	[ -z "$odd" ] || { fail "no line of Prometheus' text format: $odd"; return; }
	for name in lb_build_info lb_policy_info lb_policy_last_reload_successful lb_client_connections lb_circuit_breaker_state; do
		grep -q "^# TYPE $name " "$work/body" || { fail "$name is missing"; return; }
	done
}

metrics_json() {
	admin GET /metrics -H 'Accept: application/json' || { unanswered; return; }
	[ "$(header Content-Type)" = application/json ] || { fail "Content-Type is $(header Content-Type), not application/json"; return; }
	jq -e '(.status | IN("ok", "degraded")) and ((.status == "ok") == (.why == [])) and (.policy.hash | test("^[0-9a-f]{64}$"))
		and (.pools | length > 0) and (.totals.requests."2xx" >= 0) and (.sessions.store | type == "string")' "$work/body" >/dev/null ||
		fail "the document does not say status and why, policy, pools, sessions and totals as it should"
}

status_document() {
	admin GET /api/v1/status || { unanswered; return; }
	jq -e '(.policy.hash | test("^[0-9a-f]{64}$")) and (.policy.name != "") and (.pools | length > 0)
		and all(.pools[].endpoints[]; (.address != "") and (.breaker.state | IN("closed", "open", "half-open")) and (.eligible == (.why == "")))' "$work/body" >/dev/null ||
		fail "the document does not say policy, pools and endpoints as it should"
}

same_policy() {
	[ ${#urls[@]} -gt 1 ] || { skip "one replica: give --url and --admin-url of another"; return; }
	agree() {
		: >"$work/hashes"
		for replica in "${!urls[@]}"; do
			status_of .policy.hash >>"$work/hashes" || return
		done
		[ "$(sort -u "$work/hashes" | wc -l)" -eq 1 ]
	}
	eventually agree || fail "the replicas serve different policies: $(paste -sd ' ' "$work/hashes")"
}

page() {
	local hash
	hash=$(status_of .policy.hash)
	admin GET / || { unanswered; return; }
	[[ $(header Content-Type) == text/html* ]] || { fail "Content-Type is $(header Content-Type), not text/html"; return; }
	[ -n "$(header Content-Security-Policy)" ] || { fail "there is no Content-Security-Policy"; return; }
	grep -qF "$hash" "$work/body" || fail "the page does not show the policy's hash, $hash"
}

apart() {
	ask GET "${admins[replica]}/tester-no-such-thing" && { fail "the admin address serves traffic"; return; }
	wants 404 || return
	traffic /metrics
	! grep -q '^lb_build_info' "$work/body" || { fail "the traffic address shows the balancer's metrics"; return; }
	traffic /api/v1/status
	! jq -e .policy.hash "$work/body" >/dev/null 2>&1 || fail "the traffic address shows the balancer's status"
}

cross_site() {
	admin POST /-/reload -H 'Origin: https://elsewhere.example'
	wants 403
}

answers() {
	traffic "$path"
	wants 200 || return
	traffic "$session_path"
	[[ $status =~ ^[23] ]] || fail "the answer is $status"
}

malformed() {
	# Two lengths: whoever passes that on can be made to read one request as two (RFC 9112 section 6.3).
	ask POST "${urls[replica]}$path" ${host:+-H "Host: $host"} -H 'Content-Length: 3' -H 'Transfer-Encoding: chunked' --http1.1 -d abc
	wants 400
}

counted() {
	local before after
	before=$(metric lb_requests_total) || before=0 # there is none before the first request
	many 20 "$path" || return
	risen() { after=$(metric lb_requests_total) && [ $((after - before)) -ge 20 ]; }
	eventually risen || fail "20 requests raised lb_requests_total from $before to ${after:-nothing}"
}

traced() {
	local trace=0af7651916cd43dd8448eb211c80319c
	traffic "$path?headers=true" -H "traceparent: 00-$trace-b7ad6b7169203331-01"
	wants 200 || return
	jq -e .headers "$work/body" >/dev/null 2>&1 || { skip "the backend does not say what it got, as sim backend does"; return; }
	jq -e --arg trace "$trace" '(.headers.Traceparent[0] | contains($trace)) and (.requestId != "")' "$work/body" >/dev/null ||
		fail "the request's trace or id did not reach the backend"
}

# eligible prints, of each pool, the endpoints that requests go to now, with their weights.
eligible() {
	status_of '.pools[] | .name as $pool | [.endpoints[] | select(.eligible and .weight > 0)] |
		(map(.priority) | min) as $first | .[] | select(.priority == $first) | "\($pool) \(.address) \(.weight)"'
}

attempts() {
	admin GET /metrics && sed -n 's/^lb_upstream_requests_total{\(.*\)} \(.*\)$/\1 \2/p' "$work/body" | awk '
		match($0, /endpoint="[^"]*"/) { endpoint = substr($0, RSTART + 10, RLENGTH - 11) }
		match($0, /pool="[^"]*"/) { pool = substr($0, RSTART + 6, RLENGTH - 7) }
		{ sum[pool " " endpoint] += $NF } END { for (key in sum) print key, sum[key] }' | sort
}

shares() {
	local verdict
	for _ in 1 2 3; do
		eligible >"$work/before" && attempts >"$work/attempts1" || { unanswered; return; }
		many "$requests" "$path" || return
		attempts >"$work/attempts2" && eligible >"$work/after" || { unanswered; return; }
		# Whoever came or went meanwhile makes the count worthless: it is done again.
		cmp -s "$work/before" "$work/after" || { verdict="the endpoints changed meanwhile, three times"; continue; }
		# Five standard deviations of a fair draw, and one of a hundred for other traffic.
		verdict=$(awk -v n="$requests" '
			FILENAME ~ /before$/ { weight[$1 " " $2] = $3 }
			FILENAME ~ /attempts1$/ { base[$1 " " $2] = $3 }
			FILENAME ~ /attempts2$/ { got[$1 " " $2] = $3 - base[$1 " " $2]; pool[$1] += got[$1 " " $2] }
			END {
				for (p in pool) if (best == "" || pool[p] > pool[best]) best = p
				if (pool[best] < n) { print "the " n " requests made " pool[best] + 0 " attempts"; exit }
				for (key in weight) if (index(key, best " ") == 1) { whole += weight[key]; endpoints++ }
				if (endpoints < 2) { print "skip pool " best " has one endpoint that takes requests"; exit }
				for (key in weight) if (index(key, best " ") == 1) {
					fair = weight[key] / whole; share = got[key] / pool[best]; off = share - fair
					if (off < 0) off = -off
					if (off > 5 * sqrt(fair * (1 - fair) / pool[best]) + 0.01)
						print key ": " got[key] " of " pool[best] " attempts, with weight " weight[key] " of " whole
				}
			}' "$work/before" "$work/attempts1" "$work/attempts2")
		[ -n "$verdict" ] || return 0
		[[ $verdict != skip* ]] || { skip "${verdict#skip }"; return; }
	done
	fail "$verdict"
}

# session COUNT-OF-REPLICAS: sessions begun at the first replica stay, through all of them.
session() {
	local store cookie home who i n
	store=$(status_of .sessions.store) || { unanswered; return; }
	[ "$store" != none ] || { skip "no pool of the policy has sessions"; return; }
	for i in 1 2 3 4 5; do
		replica=0
		traffic "$session_path"
		[[ $status =~ ^[23] ]] || { fail "the answer is $status"; return; }
		cookie=$(header Set-Cookie | sed 's/;.*//' | paste -sd ';')
		home=$(header X-Backend)
		[ -n "$cookie" ] || { skip "$session_path sets no cookie: give --session-path"; return; }
		[ -n "$home" ] || { skip "the answer does not name its backend by X-Backend, as sim backend does"; return; }
		for ((n = 0; n < 6; n++)); do
			replica=$((n % $1))
			traffic "$session_path" -H "Cookie: $cookie"
			who=$(header X-Backend)
			[ "$who" = "$home" ] || { fail "session $i began at $home and came to ${who:-$status} through ${urls[replica]}"; return; }
		done
		echo "$home" >>"$work/homes"
	done
}

sticky() {
	: >"$work/homes"
	session 1
	[ -z "$outcome" ] || return
	# Who sends everybody to one endpoint keeps them there too.
	local pools
	pools=$(eligible | awk '{ n[$1]++ } END { for (p in n) if (n[p] > 1) m++; print m + 0 }')
	replica=0
	for ((i = 0; i < 40 && pools > 0; i++)); do
		[ "$(sort -u "$work/homes" | wc -l)" -lt 2 ] || return 0
		traffic "$session_path" && header X-Backend >>"$work/homes"
	done
	[ "$pools" -eq 0 ] || skip "every session goes to $(sort -u "$work/homes"): one endpoint of its pool takes requests, or it is hashed"
}

sticky_everywhere() {
	[ ${#urls[@]} -gt 1 ] || { skip "one replica: give --url and --admin-url of another"; return; }
	local store
	store=$(status_of .sessions.store) || { unanswered; return; }
	[ "$store" != memory ] || { skip "sessions are in each replica's memory: store: Redis or Cookie shares them"; return; }
	session ${#urls[@]}
}

in_redis() {
	local store
	store=$(status_of .sessions.store) || { unanswered; return; }
	[ "$store" = redis ] || { skip "sessions are not in Redis: the store is $store"; return; }
	[ "$(status_of .sessions.state)" = ok ] || { fail "the store is $(status_of '.sessions | .state + ": " + .reason')"; return; }
	local before after
	before=$(metric lb_session_store_operations_total) || before=0
	wrote() { traffic "$session_path" && after=$(metric lb_session_store_operations_total) && [ "$after" -gt "$before" ]; }
	eventually wrote || fail "new sessions do not ask the store: lb_session_store_operations_total stays at $before"
}

# spares PATH prints how many endpoints take requests, now or if others cannot, of the pool
# that most attempts for the path went to meanwhile, and its name.
spares() {
	local pool
	attempts >"$work/attempts1" || { unanswered; return 1; }
	many 60 "$1" || return
	attempts >"$work/attempts2" || { unanswered; return 1; }
	pool=$(awk 'FILENAME ~ /1$/ { n[$1] -= $3 } FILENAME ~ /2$/ { n[$1] += $3 }
		END { for (p in n) if (best == "" || n[p] > n[best]) best = p; print best }' "$work/attempts1" "$work/attempts2")
	status_of "[.pools[] | select(.name == \"$pool\") | .endpoints[] | select(.eligible and .weight > 0)] | \"\(length) $pool\"" || { unanswered; return 1; }
}

breaker() {
	breaks
	mend || true # also if it failed halfway: what comes after is about something else
}

breaks() {
	local backend name='' place='' p answer n pool
	[ ${#backends[@]} -gt 0 ] || { skip "no backend can be broken: give --backend-url of a sim backend"; return; }
	backend=${backends[0]}
	ask GET "$backend/_fault" && jq -e 'type == "object"' "$work/body" >/dev/null 2>&1 ||
		{ skip "$backend has no faults to set: a sim backend has"; return; }
	ask GET "$backend/" && name=$(header X-Backend)
	[ -n "$name" ] || { fail "$backend does not name itself by X-Backend"; return; }
	for p in "$session_path" "$path"; do
		many 60 "$p" || return
		! grep -qF " $name" "$work/many" || place=$p
	done
	[ -n "$place" ] || { skip "no answer of $session_path and $path comes from $name"; return; }
	for replica in "${!urls[@]}"; do
		status_of '.pools[].endpoints[] | select(.breaker.state != "closed") | .address' >>"$work/open" || { unanswered; return; }
	done
	[ ! -s "$work/open" ] || { skip "a breaker is open already: $(sort -u "$work/open" | paste -sd ' ')"; return; }
	for replica in "${!urls[@]}"; do
		spares "$place" >"$work/spares" || return
		read -r n pool <"$work/spares"
		[ "$n" -gt 1 ] || { skip "pool $pool has one endpoint that takes requests: there is none to spare clients its failures"; return; }
	done

	# Failures that the checks do not see: only requests can find out.
	faulty=$backend
	ask PUT "$backend/_fault" -d '{"respond": {"status": 503}, "health": "pass", "for": "10m"}' || { unanswered; return; }
	opened() {
		for replica in "${!urls[@]}"; do
			many 20 "$place" || return
			status_of '.pools[].endpoints[] | select(.breaker.state == "open") | .address' >"$work/open.$replica"
			[ -s "$work/open.$replica" ] || return
		done
		outcome=
	}
	eventually opened || { fail "$name answers 503, and its breaker is not open in ${urls[replica]} after $timeout s"; return; }
	for replica in "${!urls[@]}"; do
		many 20 "$place" || return
		answer=$(awk '$1 !~ /^[23]/' "$work/many" | sort | uniq -c)
		# A probe may be due meanwhile; its request is tried elsewhere.
		[ "$(awk '$1 !~ /^[23]/' "$work/many" | wc -l)" -le 1 ] || { fail "the breaker is open, and clients get $answer"; return; }
	done

	mend || { fail "$backend does not take its fault back: DELETE $backend/_fault fails"; return; }
	closed() {
		for replica in "${!urls[@]}"; do
			many 20 "$place" || return
			[ -z "$(status_of '.pools[].endpoints[] | select(.breaker.state != "closed") | .address')" ] || return
			many 60 "$place" && grep -qF " $name" "$work/many" || return
		done
		outcome=
	}
	eventually closed || fail "$name is well again, and gets no requests from ${urls[replica]} after $timeout s"
}

reload() {
	admin POST /-/reload
	[ "$status" != 401 ] || { skip "it wants a token: give --token-file"; return; }
	wants 200 || return
	jq -e '(.outcome | IN("unchanged", "committed")) and .error == null' "$work/body" >/dev/null || fail "the policy was not read anew"
}

# may_write says whether a policy can be put where the replicas read.
may_write() {
	[ -n "$policies" ] || { skip "the policy cannot be changed: give --policies"; return 1; }
	[ -w "$policies" ] || { skip "the policy cannot be changed: $policies is not writable"; return 1; }
}

# put puts a document beside the policy, in one step as git does; no argument takes it away.
put() {
	probe=$policies/zz-tester.yaml
	if [ $# -eq 0 ]; then
		rm -f "$probe" "$policies/.zz-tester"
		probe=
	else
		printf '%s\n' "$1" >"$policies/.zz-tester" && chmod 644 "$policies/.zz-tester" && mv "$policies/.zz-tester" "$probe"
	fi || { fail "$policies/zz-tester.yaml cannot be written"; return 1; }
	# Whoever may ask need not wait until they notice.
	for replica in "${!urls[@]}"; do
		admin POST /-/reload
	done
}

# served HASH: every replica serves it, and has nothing to complain of.
served() {
	for replica in "${!urls[@]}"; do
		[ "$(status_of '"\(.policy.hash) \(.policy.lastError)"')" = "$1 null" ] || return
	done
}

# unserved HASH: every replica serves another, and has nothing to complain of.
unserved() {
	local is
	for replica in "${!urls[@]}"; do
		is=$(status_of '"\(.policy.hash) \(.policy.lastError)"')
		[[ $is == *" null" && $is != "$1 "* ]] || return
	done
}

# refused HASH: every replica serves it still, and says where the new one is wrong.
refused() {
	for replica in "${!urls[@]}"; do
		[ "$(status_of .policy.hash)" = "$1" ] || return
		status_of .policy.lastError.message | grep -qE 'zz-tester\.yaml:[0-9]+:[0-9]+: ' || return
		[ "$(metric lb_policy_last_reload_successful)" = 0 ] || return
	done
}

# settled: every replica answers. A breaker that is open yet closes by the requests.
settled() {
	for replica in "${!urls[@]}"; do
		many 20 "$path" && ! grep -qv '^[23]' "$work/many" || return
	done
	outcome=
}

# calm waits for that: what failed before is not to be held against a change.
calm() { eventually settled || { fail "requests fail before anything is changed: $(sort "$work/many" | uniq -c | paste -sd ';')"; return 1; }; }

# unharmed: every replica goes on answering.
unharmed() {
	for replica in "${!urls[@]}"; do
		many 20 "$path" || return
		! grep -qv '^[23]' "$work/many" || { fail "requests failed meanwhile: $(sort "$work/many" | uniq -c | paste -sd ';')"; return 1; }
	done
}

changed() {
	local name hash
	may_write || return
	name=$(status_of .policy.name) && hash=$(status_of .policy.hash) || { unanswered; return; }
	calm || return
	put "{apiVersion: lb/v1, kind: Policy, metadata: {name: \"$name\"}, spec: {}}" || return
	eventually unserved "$hash" || { fail "a changed policy does not serve after $timeout s"; return; }
	unharmed || return
	put || return
	eventually served "$hash" || { fail "the policy was changed back, and does not serve after $timeout s"; return; }
	unharmed
}

invalid() {
	local name hash
	may_write || return
	name=$(status_of .policy.name) && hash=$(status_of .policy.hash) || { unanswered; return; }
	calm || return
	put "{apiVersion: lb/v1, kind: Policy, metadata: {name: \"$name\"}, spec: {poools: []}}" || return
	eventually refused "$hash" || { fail "an invalid policy was not refused with its place, while $hash serves"; return; }
	unharmed || return
	for replica in "${!urls[@]}"; do
		admin GET /readyz || { fail "it is not ready, since an invalid policy was refused"; return; }
	done
	put || return
	eventually served "$hash" || fail "the policy is valid again, and the complaint is still there after $timeout s"
}

each_ready() { each ready; }
each_live() { each live; }
each_metrics_text() { each metrics_text; }
each_metrics_json() { each metrics_json; }
each_status() { each status_document; }
each_page() { each page; }
each_apart() { each apart; }
each_cross_site() { each cross_site; }
each_answers() { each answers; }
each_malformed() { each malformed; }
each_counted() { each counted; }
each_traced() { each traced; }
each_shares() { each shares; }
each_reload() { each reload; }

# finish says the result, and ends with it.
finish() {
	[ -z "$junit" ] ||
		printf '<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n<testsuite name="tester.sh" tests="%d" failures="%d" skipped="%d">\n%s</testsuite>\n</testsuites>\n' \
			"$count" "$failed" "$skipped" "$cases" >"$junit"
	echo "# $((count - failed - skipped)) passed, $failed failed, $skipped skipped"
	[ "$failed" -eq 0 ]
	exit
}

echo "TAP version 13"
echo "1..21"
check "readiness: GET /readyz answers 200" each_ready
[ "$failed" -eq 0 ] || { echo "Bail out! What is not ready cannot be judged"; finish; }
check "liveness: GET /healthz answers 200" each_live
check "telemetry: metrics in Prometheus' text format" each_metrics_text
check "health: metrics as JSON, a document that says how it is" each_metrics_json
check "health: the status document names policy, pools and endpoints" each_status
check "policy: all replicas serve the same one" same_policy
check "dashboard: a page with the policy's hash" each_page
check "addresses: admin serves no traffic, traffic no admin" each_apart
check "addresses: another site cannot make a browser reload it" each_cross_site
check "traffic: requests are answered" each_answers
check "traffic: a request with two lengths is refused" each_malformed
check "telemetry: requests are counted" each_counted
check "telemetry: a request's trace and id reach the backend" each_traced
check "balancing: every endpoint has its share" each_shares
check "sessions: a client stays at its endpoint" sticky
check "sessions: it stays through every replica" sticky_everywhere
check "sessions: they are in Redis, which is there" in_redis
check "breaker: it opens when a backend fails, spares clients, and closes when it is well" breaker
check "reload: the policy is read on request" each_reload
check "reload: a changed policy serves, and no request is lost" changed
check "reload: an invalid policy is refused with its place, and the last good one serves" invalid
finish
