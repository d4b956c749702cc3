// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Comparison.Traces;

/// <summary>The life of one address space within a recording.</summary>
public sealed record AddressSpaceLife
{
    /// <summary>Number from 1 in the order in which the lives begin; never used twice.</summary>
    public required ulong Id { get; init; }

    /// <summary>Process id of its process.</summary>
    public required int Pid { get; init; }

    /// <summary>The program's file name after an exec, else the task's name.</summary>
    public required string Name { get; init; }

    /// <summary>
    /// Begin in nanoseconds on the trace's clock; of one from before the recording the recording's begin.
    /// </summary>
    public required long StartNanoseconds { get; init; }

    /// <summary>End in nanoseconds on the trace's clock; of one alive at the end the recording's end.</summary>
    public required long EndNanoseconds { get; init; }

    /// <summary>How it began.</summary>
    public required LifeBegin Began { get; init; }

    /// <summary>How it ended.</summary>
    public required LifeEnd Ended { get; init; }

    /// <summary>Index of the event that began it, -1 for one from before the recording.</summary>
    internal int StartIndex { get; init; }

    /// <summary>Index of the event that ended it, the number of events for one alive at the end.</summary>
    internal int EndIndex { get; init; }

    /// <summary>Number, process id and name.</summary>
    public override string ToString() => Text($"mm{Id} ({Name}, pid {Pid})");
}
