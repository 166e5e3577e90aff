"""Import and export of TECO's DMLab-40k: one npz per trajectory, `video` (T, 64, 64, 3) uint8 and `actions` (T,)."""

from flexlam_rl.datasets.format import Format
from flexlam_rl.datasets.formats.teco.exporting import EXPORTER, export_teco
from flexlam_rl.datasets.formats.teco.importing import IMPORTER, import_teco

__all__ = ["FORMAT", "export_teco", "import_teco"]

FORMAT = Format("teco", "TECO's DMLab videos as npz files", IMPORTER, EXPORTER)
