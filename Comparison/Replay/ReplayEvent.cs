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

/// <summary>Something that happened in a replay.</summary>
internal sealed class ReplayEvent
{
    public required ReplayEventKind Kind { get; init; }
    public required ReplayOperation Operation { get; init; }

    /// <summary>Index of the call, from 0; its events follow each other.</summary>
    public required int Call { get; init; }

    public required long Nanoseconds { get; init; }
    public string? Space { get; init; }
    public Pasid? Pasid { get; init; }
    public AddressSpaceLife? Process { get; init; }
    public string? Tenant { get; init; }
    public string? Device { get; init; }
    public string? Driver { get; init; }
    public Errno Errno { get; init; }
    public string? Reason { get; init; }
    public string? Cause { get; init; }

    /// <summary>
    /// On the last event of a call: commands of each driver in the call, in the order of the drivers.
    /// </summary>
    public IReadOnlyList<long>? Commands { get; set; }

    /// <summary>On the last event of a call: bytes of each driver's PASID tables after it.</summary>
    public IReadOnlyList<long>? TableBytes { get; set; }
}
