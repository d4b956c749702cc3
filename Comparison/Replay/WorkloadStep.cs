// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Comparison.Replay;

/// <summary>What happens at one time of a replay.</summary>
internal enum StepKind
{
    Bind,
    Unbind,
    End,
    Skip,
}

/// <summary>One step of a replay.</summary>
/// <param name="Kind">What to do.</param>
/// <param name="Nanoseconds">When, on the trace's clock.</param>
/// <param name="Process">The address space, one object in all steps of a reader.</param>
/// <param name="Device">Index of the device, -1 for an end.</param>
/// <param name="Bind">Index of the bind, from 0, that is made, ended or skipped; -1 for an end.</param>
internal readonly record struct WorkloadStep(
    StepKind Kind, long Nanoseconds, SimulatedAddressSpace Process, int Device, int Bind);
