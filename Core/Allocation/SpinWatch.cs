// SPDX-License-Identifier: Apache-2.0

namespace PasidFramework.Allocation;

/// <summary>
/// How long a gate's word is watched before its waiter gives the processor away: some microseconds, with pauses that
/// double up to half of one.
/// </summary>
internal struct SpinWatch
{
    // In units of Thread.SpinWait, about 37 ns whatever the processor's pause takes. A holder that has not left by the
    // end of the watch has most likely lost its processor; a yield before that costs more than the section it awaits.
    private const int LongestPause = 16;
    private const int Watch = 200;

    // With a single processor the holder does not run while another thread watches.
    private static readonly int s_watch = Environment.ProcessorCount > 1 ? Watch : 0;

    private int _pause = 1;
    private int _left = s_watch;

    public SpinWatch()
    {
    }

    /// <summary>Pauses; false, at once, when the watch is over.</summary>
    public bool TryPause()
    {
        if (_left <= 0)
        {
            return false;
        }

        Thread.SpinWait(_pause);
        _left -= _pause;
        _pause = Math.Min(2 * _pause, LongestPause);
        return true;
    }
}
