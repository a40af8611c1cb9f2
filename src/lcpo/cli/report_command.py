"""`lcpo report DIR [DIR ...]`: one HTML page, and PNG plots beside it, from evaluations and training runs."""

from pathlib import Path

import click

from lcpo.cli import emit


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="DIR [DIR ...]")
@click.option("--out", type=click.Path(path_type=Path), help="The page. Default: report.html in the first folder.")
@click.option("--published", is_flag=True, help="Draw the paper's points as hollow markers, where it has some.")
@click.option("--plots/--no-plots", default=True, help="Write PNG plots beside the page: into plots/ or NAME-plots/.")
@click.option("--title", help="Heading of the page.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON document.")
def command(
    folders: tuple[Path, ...], out: Path | None, published: bool, plots: bool, title: str | None, as_json: bool
) -> None:
    """Make one self-contained HTML page from folders of evaluations and of training runs.

    Several evaluations are compared in one report: models, seeds, settings. The page needs no network.
    """
    from lcpo.report.load import load
    from lcpo.report.page import PAGE, plots_beside, write_page, write_plots

    evaluations = load(folders)
    first = folders[0] if folders[0].is_dir() else folders[0].parent
    page = write_page(evaluations, out or first / PAGE, published=published, title=title)
    pictures = write_plots(evaluations, plots_beside(page), published=published) if plots else []
    text = f"{page}" + (f"\n{len(pictures)} plots in {plots_beside(page)}" if pictures else "")
    emit({"page": str(page), "plots": [str(path) for path in pictures]}, as_json, text)
