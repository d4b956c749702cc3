
namespace PasidFramework.Cli.Tests;

/// <summary>The default comparison, run once for all tests that look at it.</summary>
public sealed class DefaultComparison : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public DefaultComparison()
    {
        Events = _folder["events.jsonl"];
        Report = _folder["report.json"];
        Outcome outcome = Tool.Run("compare", "--json", Report, "--events", Events);
        ExitCode = outcome.ExitCode;
        Text = outcome.Out;
        Error = outcome.Error;
    }

    public string Events { get; }

    public string Report { get; }

    public int ExitCode { get; }

    public string Text { get; }

    public string Error { get; }

    public string Root => _folder.Root;

    public void Dispose() => _folder.Dispose();
}
