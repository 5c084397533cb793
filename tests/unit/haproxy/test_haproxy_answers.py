"""What HAProxy tells, as values: answers as 2.6.12 and 3.0.11 gave them."""

from proxyctl.haproxy import answers
from proxyctl.plan.steps import AddServer
from proxyctl.state.model import OldWorker, RunningServer, Server, ServerState

HEADER = "# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port"  # noqa: E501
STATE = f"""1
{HEADER}
3 gitea 2 b ::1 2 8 12 7 0 1 0 2 6 0 0 1 - 99 - 0 0 - - 0
3 gitea 1 a 10.88.0.2 2 0 100 100 0 1 0 0 0 0 0 1 - 3000 - 0 0 - - 0
4 other 1 c 10.88.0.3 0 5 100 100 0 1 0 0 0 0 0 1 - 80 - 0 0 - - 0

"""
STAT = """# pxname,svname,qcur,scur,status,bck,
gitea,a,0,0,UP 1/3,0,
gitea,b,0,4,DOWN 1/2,1,

"""


def test_servers_are_told_by_two_tables():
    found = answers.servers(answers.parse_servers_state(STATE), answers.parse_stat(STAT))

    assert found["gitea"] == (
        RunningServer(
            name="a", address="10.88.0.2", port=3000, weight=100, backup=False,
            state=ServerState.READY, up=True, id=1,
        ),
        RunningServer(
            name="b", address="::1", port=99, weight=12, backup=True,
            state=ServerState.DRAIN, up=False, id=2,
        ),
    )  # fmt: skip
    assert found["other"][0].state is ServerState.MAINT


def test_columns_are_found_by_their_names():
    moved = STATE.replace("# be_id be_name", "# new be_id be_name").replace("\n3 ", "\nx 3 ")

    assert [row["srv_name"] for row in answers.parse_servers_state(moved)][:2] == ["b", "a"]


def test_no_servers_are_no_rows():
    assert answers.parse_servers_state(f"1\n{HEADER}\n\n") == ()
    assert answers.parse_stat("# pxname,svname,\n\n") == ()
    assert answers.parse_stat("") == ()


def test_an_unused_id_is_the_least_one():
    rows = answers.parse_servers_state(STATE)

    assert answers.unused_id(rows) == 3
    assert answers.unused_id(rows[:1]) == 1
    assert answers.unused_id(()) == 1


def test_sessions_of_a_server_are_counted():
    rows = answers.parse_stat(STAT)

    assert answers.connections(rows, "b") == 4
    assert answers.connections(rows, "gone") == 0


def test_a_quoted_column_of_statistics_shifts_none():
    text = '# pxname,svname,scur,status,bck,last\n"a,b",one,3,UP,0,x\nc,two,4,DOWN,1,"y,z"\n'

    assert answers.parse_stat(text) == (
        {"pxname": "a,b", "svname": "one", "status": "UP", "bck": "0", "scur": "3"},
        {"pxname": "c", "svname": "two", "status": "DOWN", "bck": "1", "scur": "4"},
    )


def test_the_state_for_the_next_worker_has_no_server_in_maint():
    kept = answers.state_to_keep(STATE)

    assert kept.startswith(f"1\n{HEADER}\n3 gitea 2 b ")
    assert " c " not in kept
    assert kept.endswith(" 0\n")


def test_info_and_version():
    info = answers.parse_info("Name: HAProxy\nVersion: 2.6.12-1+deb12u4\nPid: 8011\n\n")

    assert info["Pid"] == "8011"
    assert answers.parse_version(info["Version"]) == (2, 6, 12)
    assert answers.parse_version("3.4-dev7") == (3, 4, 0)
    assert answers.parse_version("unknown") == (0, 0, 0)


def test_a_map_is_told_with_its_duplicates_sorted():
    text = "0x55 b.test gitea\n0x56 a.test x;y z\n0x57 b.test gitea\n0x58 empty\n\n"

    assert answers.parse_map(text) == (
        ("a.test", "x;y z"),
        ("b.test", "gitea"),
        ("b.test", "gitea"),
        ("empty", ""),
    )


def test_maps_are_told_by_haproxys_names_of_them():
    text = """# id (file) description
0 (/run/h/maps/web.map) pattern loaded from file '/run/h/maps/web.map' used by map at 'c' line 1
-1 (maps/b.map) pattern loaded from file 'maps/b.map' used by map at file 'c' line 2
"""

    assert answers.parse_maps(text) == ("/run/h/maps/web.map", "maps/b.map")
    assert answers.parse_map_version("New version created: 12\n\n") == 12
    assert answers.parse_map_version("Unknown map identifier.") == 0


def test_a_map_file_is_read_as_haproxy_reads_it():
    assert answers.parse_map_file("# no\n\n a x y \nb z\na later\n") == {"a": "x y", "b": "z"}


PROC = """#<PID>          <type>          <reloads>       <uptime>        <version>
8008            master          3 [failed: 2]   0d00h11m19s     2.6.12-1+deb12u4
# workers
13282           worker          2               0d00h00m02s     2.6.12-1+deb12u4
# old workers
13000           worker          4               0d00h05m02s     2.6.12-1+deb12u4
# programs

"""


def test_the_current_worker_is_told_from_old_ones():
    seen = answers.parse_proc(PROC)

    old = (OldWorker(pid=13000, reloads=4, uptime=302),)
    assert seen == answers.Processes(master=8008, reloads=3, failed=2, worker=13282, old=old)
    assert answers.parse_proc("").master == 0


STDERR = """[NOTICE]   (8724) : haproxy version is 3.0.11-1+deb13u4
[WARNING]  (8724) : config : parsing [/x/haproxy.cfg:3] : a rule is placed after another.
[ALERT]    (8724) : config : parsing [/x/haproxy.cfg:16] : unknown keyword 'balanse' in 'backend'
[ALERT]    (8724) : config : [/x/haproxy.cfg:18] : 'server b2/s1' : could not resolve address
[ALERT]    (8724) : parsing [/x/haproxy.cfg:19]: unmatched quote at position 29:
  set-header X '
               ^
[ALERT]    (8724) : config : parsing [/etc/haproxy/haproxy.cfg:2] : unknown keyword 'foo'
[ALERT]    (8724) : config : Error(s) found in configuration file : /x/haproxy.cfg
[ALERT]    (8724) : config : Fatal errors found in configuration.
"""


def test_alerts_have_the_lines_of_our_file_only():
    assert answers.parse_alerts(STDERR, file="/x/haproxy.cfg") == (
        (16, "unknown keyword 'balanse' in 'backend'"),
        (18, "'server b2/s1' : could not resolve address"),
        (19, "unmatched quote at position 29:"),
        (None, "parsing [/etc/haproxy/haproxy.cfg:2] : unknown keyword 'foo'"),
    )


def test_a_summary_is_told_if_there_is_nothing_else():
    only = "[ALERT]    (8724) : config : Fatal errors found in configuration.\n"

    assert answers.parse_alerts(only) == ((None, "Fatal errors found in configuration."),)


def test_a_reload_says_whether_it_was_one():
    assert answers.succeeded("Success=1\n--\n[NOTICE] ...\n")
    assert not answers.succeeded("Success=0\n--\n[ALERT] ...\n")
    assert not answers.succeeded("")


def test_servers_that_are_to_be_down_replace_their_rows():
    header = "# be_id be_name srv_id srv_name srv_addr srv_op_state srv_check_health srv_port"
    state = f"1\n{header}\n3 app 1 a 10.0.0.1 2 1 80\n3 app 2 b 10.0.0.2 2 1 80\n"
    server = Server(name="b", address="10.0.0.9", port=81)

    assert answers.with_down(state, (AddServer("app", server),)) == (
        f"1\n{header}\n3 app 1 a 10.0.0.1 2 1 80\n0 app 0 b 10.0.0.9 0 0 81\n"
    )
    assert answers.with_down(state, ()) == state
