"""A hypervisor without a machine: for scale tests and for failures on request.  Never the default."""

from services.compute.drivers.simulated.faults import Faults
from services.compute.drivers.simulated.guests import SimulatedHypervisor, SimulatedOptions

__all__ = ["Faults", "SimulatedHypervisor", "SimulatedOptions"]
