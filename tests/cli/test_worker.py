"""`mgx worker`, and servers that leave the work to it."""

from pathlib import Path

from tests.backing import PostgresServer
from tests.cli.support import assert_one_line, create_run, find_run, mgx, run_waiting
from tests.servers import running_server, start_process, start_server


def test_on_sqlite_there_is_nothing_for_a_worker_to_do(tmp_path: Path) -> None:
    worker = mgx("worker", cwd=tmp_path)
    assert worker.code == 1
    assert_one_line(worker.err)
    assert "PostgreSQL" in worker.err
    assert not (tmp_path / "mgx.db").exists()


def test_on_sqlite_a_server_can_t_leave_the_work_to_others(tmp_path: Path) -> None:
    server = mgx("serve", "--workers", "0", cwd=tmp_path)
    assert server.code == 1
    assert_one_line(server.err)


def test_a_queue_of_no_team_is_refused(tmp_path: Path, postgres: PostgresServer, postgres_database: str) -> None:
    url = postgres.url(postgres_database, driver="psycopg")
    worker = mgx("worker", "--queues", "rehearsal,nobody", cwd=tmp_path, MGX_DATABASE_URL=url)
    assert worker.code == 1
    assert_one_line(worker.err)
    assert "'nobody'" in worker.err


def test_a_server_without_workers_has_its_runs_worked_on_by_one_beside_it(
    tmp_path: Path, postgres: PostgresServer, postgres_database: str
) -> None:
    url = postgres.url(postgres_database, driver="psycopg")
    with running_server(tmp_path, MGX_WORKERS="0", MGX_DATABASE_URL=url) as server:
        early = create_run(server, auto_approve=True, steps=1, stepSeconds=0, planSeconds=0)
        assert find_run(server, early)["status"] == "PENDING"
        worker = start_process(tmp_path, "worker", "--concurrency", "2", name="worker", MGX_DATABASE_URL=url)
        try:
            assert mgx("watch", early, "--url", server.url, cwd=tmp_path).code == 0
            late = run_waiting(server, steps=1, stepSeconds=0)
            assert mgx("approve", late, "--url", server.url, cwd=tmp_path).code == 0
            assert mgx("watch", late, "--url", server.url, cwd=tmp_path).code == 0
            assert worker.stop() == 0
        finally:
            worker.kill()
    assert "Traceback" not in worker.log.read_text()


def test_a_server_whose_database_goes_while_it_ends_ends_all_the_same(tmp_path: Path, postgres: PostgresServer) -> None:
    with postgres.database() as name:
        server = start_server(tmp_path, MGX_DATABASE_URL=postgres.url(name, driver="psycopg"))
        server.process.terminate()
    assert server.stop() == 0
