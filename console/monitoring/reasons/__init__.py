"""Why a monitor is off."""
