"""The pure part of the alerter: rules, measures, and the stages that turn one snapshot into signals."""
