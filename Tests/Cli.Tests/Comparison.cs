// SPDX-License-Identifier: Apache-2.0
namespace PasidFramework.Cli.Tests;

/// <summary>A comparison on the bundled trace with both of its files.</summary>
public abstract class Comparison : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    protected Comparison(string[] arguments)
    {
        Events = _folder["events.jsonl"];
        Report = _folder["report.json"];
        Outcome outcome = Tool.Run(["compare", "--json", Report, "--events", Events, .. arguments]);
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

    public void Dispose()
    {
        _folder.Dispose();
        GC.SuppressFinalize(this);
    }
}
