"""What a model looks at: heat maps of the evidence for a class."""

from visus.explain.grad_cam import grad_cam
from visus.explain.occlusion import occlusion

__all__ = ["grad_cam", "occlusion"]
