# Sums by part of the program what callgrind counted in two runs, and prints for each part the
# difference per task:
#
#   awk -v few=100000 -v many=300000 -f parts.awk FEW.out MANY.out
#
# Costs are those of the lines themselves, without what they call; what was inlined counts to the
# function that it was inlined into. A part is known by the first pattern below that fits.

BEGIN {
    add("SHA-256 of the hash chain", "sha256")
    add("AES-GCM", "aes|gcm|ghash|gmult")
    add("copies and clears of memory", "__mem(cpy|move|set|cmp)")
    add("allocation", "malloc|realloc|calloc|^_?_?(int_)?free|unlink_chunk|raw_vec|rust_(de)?alloc|sysmalloc|systrim|brk")
    add("SQLite", "sqlite|^wal|pager|pcache|btree[A-Z]|vdbe|rusqlite|unix[A-Z]|getPage|insertCell|fillInCell|balance|allocateBtree|^page")
    add("decoding", "[Dd]eserialize|postcard::de|serde_core::de|frame::split|frame::decode")
    add("encoding", "[Ss]erialize|postcard::ser|serde_core::ser|engine::encode|event::encode|Block::encode|frame::encode")
    add("QUIC and TLS", "quinn|rustls|^ring|<ring")
    add("bitmaps of tasks", "roaring|runs::IdSet")
    add("engine: apply", "Ledger>::|engine::table|engine::batch|engine::roster::Session")
    add("engine: schedule", "engine::schedule|engine::queue|engine::rebalance")
    add("engine: the rest", "ganger::engine")
    add("squares", "worker::inline")
    add("worker: core and driver", "ganger::worker")
    add("reading of arguments", "cli::source|io::buffered|memchr")
    add("copies of arguments", "proto::args")
    add("store thread", "ganger::store")
    add("master loop and inbox", "ganger::master")
    add("frames", "ganger_net|bytes::")
    add("runtime", "tokio|mio::|parking_lot|std::sync|pthread|futex|epoll|syscall")
}

function add(name, pattern) {
    parts++
    names[parts] = name
    patterns[parts] = pattern
}

function part_of(name,    i) {
    if (name in known) return known[name]
    for (i = 1; i <= parts; i++) {
        if (name ~ patterns[i]) break
    }
    return known[name] = i <= parts ? names[i] : "everything else"
}

# Names are written once, and then by number: "(12) name", "(12)".
function name_of(text,    number) {
    number = substr(text, 1, index(text, ")"))
    if (length(text) > length(number)) names_of[run, number] = substr(text, length(number) + 2)
    return names_of[run, number]
}

FNR == 1 { run++ }
/^fn=/ { part = part_of(name_of(substr($0, 4))); next }
/^cfn=/ { name_of(substr($0, 5)); next }
# The line after a call is what the call cost, which is counted where it was spent.
/^calls=/ { getline; next }
/^[-+*0-9]/ && NF == 2 { cost[run, part] += $2; seen[part] = 1 }

END {
    for (part in seen) {
        each = (cost[2, part] - cost[1, part]) / (many - few)
        total += each
        if (each >= 0.5 || each <= -0.5) printf "%8.0f  %s\n", each, part
    }
    printf "%8.0f  in all\n", total
}
