"""The HTTP API of live rooms (DESIGN §4.1)."""

from ninja import Router

from rooms.api import analyze, rooms, summary

router = Router()
router.add_router("", rooms.router)
router.add_router("", summary.router)
router.add_router("", analyze.router)
