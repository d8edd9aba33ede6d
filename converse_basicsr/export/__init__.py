"""Networks as TorchScript, torch.export programs or ONNX models, checked against torch."""

from converse_basicsr.export.exporter import FORMATS, Exported, export_network

__all__ = ['FORMATS', 'Exported', 'export_network']
