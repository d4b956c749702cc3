// SPDX-License-Identifier: Apache-2.0
using System.Runtime.ExceptionServices;

namespace PasidFramework.Conformance.Bench;

/// <summary>Probes within a step. Their end is not thrown through the driver or the core, which may catch it or make an
/// errno of it: the first one is kept for after the step.</summary>
internal sealed class MidStep
{
    private bool _isProbing;
    private ExceptionDispatchInfo? _end;

    public void ThrowIfEnded() => _end?.Throw();

    public void Probe(Action probe)
    {
        if (_isProbing || _end is not null)
        {
            return;
        }

        _isProbing = true;
        try
        {
            probe();
        }
        catch (Exception end) when (end is CaseEnd or HardwareException)
        {
            _end = ExceptionDispatchInfo.Capture(end);
        }
        finally
        {
            _isProbing = false;
        }
    }
}
