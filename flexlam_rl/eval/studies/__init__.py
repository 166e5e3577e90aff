"""Studies: many trainings and measurements, compared with statistics over seeds."""
