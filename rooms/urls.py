"""The pages of live rooms, and the address that takes recorded chunks."""

from rooms.views import call, candidate, recording, rooms, summary

urlpatterns = [
    *rooms.urlpatterns,
    *candidate.urlpatterns,
    *call.urlpatterns,
    *summary.urlpatterns,
    *recording.urlpatterns,
]
