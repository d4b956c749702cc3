// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Comparison.Replay;

/// <summary>What happened.</summary>
internal enum ReplayEventKind
{
    /// <summary>The system stands: table bytes and commands so far.</summary>
    Setup,
    Allocate,
    Free,
    Bind,
    Unbind,
    Exit,
    Refuse,

    /// <summary>The process ended before the bind was due.</summary>
    Skip,

    /// <summary>The last process ended; nothing has been removed yet.</summary>
    End,
}

/// <summary>The call that something happened in.</summary>
internal enum ReplayOperation
{
    Setup,
    Bind,
    Unbind,
    Exit,
    End,
}

/// <summary>Something that happened in a replay; valid until the next call into the core.</summary>
internal sealed class ReplayEvent
{
    public ReplayEventKind Kind { get; set; }
    public ReplayOperation Operation { get; set; }

    /// <summary>Index of the call, from 0; its events follow each other.</summary>
    public long Call { get; set; }

    public long Nanoseconds { get; set; }
    public string? Space { get; set; }
    public Pasid? Pasid { get; set; }
    public SimulatedAddressSpace? Process { get; set; }
    public string? Tenant { get; set; }
    public string? Device { get; set; }
    public string? Driver { get; set; }
    public Errno Errno { get; set; }
    public string? Reason { get; set; }
    public string? Cause { get; set; }

    /// <summary>
    /// On the last event of a call: commands of each driver in the call, in the order of the drivers.
    /// </summary>
    public long[]? Commands { get; set; }

    /// <summary>On the last event of a call: bytes of each driver's PASID tables after it.</summary>
    public long[]? TableBytes { get; set; }
}
