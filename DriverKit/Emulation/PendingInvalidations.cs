// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.DriverKit.Emulation;

/// <summary>
/// Invalidations that hardware has read and that take effect when the wait or SYNC behind them completes: as late as
/// they may, and between two fences in the worst order. Not safe for concurrent use.
/// </summary>
/// <typeparam name="T">A command.</typeparam>
public sealed class PendingInvalidations<T>
{
    private readonly List<(IReadOnlyList<T> Group, bool Drains)> _groups = [];
    private List<T> _open = [];
    private int _openAtLastWait;

    /// <summary>Whether nothing is pending.</summary>
    public bool IsEmpty => _groups.Count + _open.Count == 0;

    /// <summary>A command without an effect yet.</summary>
    public void Add(T command) => _open.Add(command);

    /// <summary>A wait without a fence: what comes behind it may have begun already.</summary>
    public void Wait() => _openAtLastWait = _open.Count;

    /// <summary>A fence: what comes behind it begins when all before it has completed.</summary>
    /// <param name="drains">Whether page requests are drained.</param>
    public void Fence(bool drains = false)
    {
        Wait();
        FenceAtLastWait(drains);
    }

    /// <summary>Nothing follows for now: what came before the last wait is a group; the rest stays pending.</summary>
    /// <param name="drains">Whether page requests are drained.</param>
    public void FenceAtLastWait(bool drains = false)
    {
        _groups.Add((_open[.._openAtLastWait], drains));
        _open = _open[_openAtLastWait..];
        _openAtLastWait = 0;
    }

    /// <summary>All fenced groups complete, in order.</summary>
    public void Complete(Action<IReadOnlyList<T>, bool> apply)
    {
        ArgumentNullException.ThrowIfNull(apply);
        foreach ((IReadOnlyList<T> group, bool drains) in _groups)
        {
            apply(group, drains);
        }

        _groups.Clear();
    }

    /// <summary>What is pending never takes effect.</summary>
    public void Clear()
    {
        _groups.Clear();
        _open = [];
        _openAtLastWait = 0;
    }
}
