// SPDX-License-Identifier: Apache-2.0
using System.Collections.Concurrent;

namespace PasidFramework.Hosting.Tests;

/// <summary>Collects the ends that a source reports.</summary>
internal sealed class EndRecorder : IDisposable
{
    /// <summary>For what is bound to happen; only a hang runs into it.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private readonly BlockingCollection<IAddressSpace> _ended = [];
    private int _reportedAlive;

    public EndRecorder(LinuxProcessSource source) => source.AddressSpaceEnded += space =>
    {
        if (space.IsAlive)
        {
            Interlocked.Increment(ref _reportedAlive);
        }

        _ended.Add(space);
    };

    /// <summary>How many ends were reported of spaces that still said they live; 0 is right.</summary>
    public int ReportedAlive => Volatile.Read(ref _reportedAlive);

    public IAddressSpace Next()
    {
        Assert.True(_ended.TryTake(out IAddressSpace? space, Patience), "no end of an address space was reported");
        return space;
    }

    /// <summary>Whether nothing more was reported so far.</summary>
    public bool IsQuiet => _ended.Count == 0;

    public void Dispose() => _ended.Dispose();
}
