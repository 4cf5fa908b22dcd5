"""The stand-in as an ASGI application: which address leads to which function."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Mount, Route, Router

from . import catalogue, downloads, job_views, lease, page, submissions, uploads
from .guard import HANDLERS, Guard
from .settings import Settings
from .state import ServerState
from .wire import as_json


def make_app(root: Path, settings: Settings | None = None) -> Starlette:
    """An application that keeps everything in `root`; its lifespan runs the jobs, `app.state.hub` is its state."""
    hub = ServerState(root, settings or Settings())

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        hub.start()
        try:
            yield
        finally:
            hub.stop()

    app = Starlette(
        # A redirect to the address with a slash would be built from what the request says of its host.
        routes=[Mount(f"/{hub.identity.instance}", app=Router(_routes(), redirect_slashes=False))],
        middleware=[Middleware(Guard, hub=hub)],
        exception_handlers={HTTPException: as_json, **HANDLERS},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    app.state.hub = hub
    return app


def _routes() -> list[BaseRoute]:
    api = "/api/v1"
    shared = f"{api}/{{table}}/{{id}}/shared_access/"
    return [
        Route(f"{api}/devices/", catalogue.list_devices),
        Route(f"{api}/frameworks/", catalogue.list_frameworks),
        Route(f"{api}/users/auth/user/", catalogue.get_user),
        Route(f"{api}/models/", uploads.create_model, methods=["POST"]),
        Route(f"{api}/models/", downloads.list_models),
        Route(f"{api}/models/{{id}}/", downloads.get_model),
        Route(f"{api}/models/{{id}}/multipart_upload/", uploads.announce_model_file),
        Route(f"{api}/models/{{id}}/multipart_upload/", uploads.complete_model, methods=["POST"]),
        Route(f"{api}/models/{{id}}/download/", downloads.download_model),
        Route(f"{api}/datasets/", uploads.create_dataset, methods=["POST"]),
        Route(f"{api}/datasets/", downloads.list_datasets),
        Route(f"{api}/datasets/{{id}}/", downloads.get_dataset),
        Route(f"{api}/datasets/{{id}}/", uploads.complete_dataset, methods=["PATCH"]),
        Route(f"{api}/datasets/{{id}}/upload_url/", uploads.announce_dataset_file),
        Route(f"{api}/datasets/{{id}}/download_data/", downloads.download_dataset),
        Route(f"{api}/jobs/", submissions.submit, methods=["POST"]),
        Route(f"{api}/jobs/", job_views.list_jobs),
        Route(f"{api}/jobs/{{id}}/", job_views.get_job),
        Route(f"{api}/jobs/{{id}}/", job_views.rename_job, methods=["PATCH"]),
        Route(f"{api}/jobs/{{id}}/result/", job_views.get_result),
        Route(f"{api}/jobs/{{id}}/device_runs/latest/artifact_list/{{kind}}/", downloads.list_artefacts),
        Route(f"{api}/job_summaries/", job_views.list_summaries),
        Route(shared, catalogue.get_sharing),
        Route(shared, catalogue.change_sharing, methods=["PATCH"]),
        Route(shared, catalogue.end_sharing, methods=["DELETE"]),
        Route("/blob/part/{id}/{upload}/{part}/{signature}", uploads.receive_part, methods=["PUT"]),
        Route("/blob/form/{id}/{signature}", uploads.receive_form, methods=["POST"]),
        Route("/blob/get/{table}/{id}/{until}/{signature}", downloads.send_file),
        Route("/private/lease/", lease.hold_lease),
        Route("/", page.show_jobs),
        Route("/jobs/{id}/", page.show_job),
        Route("/models/{id}/", page.show_model),
    ]
